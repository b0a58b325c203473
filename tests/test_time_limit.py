from __future__ import annotations

import asyncio

import pytest

from in_loop import in_loop
from kst_scheduler.time_limit import time_limit


@in_loop
async def test_a_limit_that_comes_first_is_a_time_out() -> None:
    """As asyncio.timeout."""
    with pytest.raises(TimeoutError):
        async with time_limit(0.001) as limit:
            await asyncio.sleep(60)
    assert limit.expired()


@in_loop
async def test_it_holds_in_a_task_that_is_being_cancelled() -> None:
    """As in the last write of a run that a drain has cut; Python 3.11.2 called it cancelled."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            try:
                async with time_limit(0.001):
                    await asyncio.sleep(60)
            except TimeoutError:
                ended.append("time-out")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ended == ["time-out"]


@in_loop
async def test_a_cancellation_stays_one() -> None:
    """One that comes while the limit runs, first or second."""

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            async with time_limit(60):
                await asyncio.sleep(60)

    task = asyncio.create_task(work())
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task], timeout=30)
    assert task.cancelled()
