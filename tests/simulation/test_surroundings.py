from __future__ import annotations

import asyncio
import gc
import inspect
import time
from datetime import timedelta
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler import kst, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

NIGHT = kst(2026, 5, 10)


async def _clean_up() -> None:
    """End the work of a run that was cut."""


async def _work() -> None:
    mine: list[Any] = []
    mine.append(mine)  # what follows is in a cycle, so only a garbage collection would end it
    try:
        await asyncio.sleep(3600)
    finally:
        mine.append(_clean_up())
        await asyncio.wait_for(mine[-1], 1)  # there is no loop any more, so this begins nothing


def _register(scheduler: Any) -> None:
    scheduler.add_job(_work, "cron", minute=30)


def _never_begun() -> list[Any]:
    return [
        found
        for found in gc.get_objects()
        if type(found) is CoroutineType
        and found.cr_code is _clean_up.__code__
        and inspect.getcoroutinestate(found) == inspect.CORO_CREATED
    ]


def test_no_coroutine_is_left_that_was_never_begun() -> None:
    """Python would warn of it whenever the garbage collector finds it, in anybody's code."""
    gc.disable()
    try:
        simulate(_register, NIGHT, NIGHT + timedelta(hours=1))
        assert not _never_begun()
    finally:
        gc.enable()


def test_the_garbage_collector_is_left_as_it_was() -> None:
    """What the caller has frozen, as a server does before it forks, stays frozen."""
    simulate(_register, NIGHT, NIGHT + timedelta(hours=1))  # what is imported on the way is now
    gc.collect()
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        simulate(_register, NIGHT, NIGHT + timedelta(hours=1))
        assert gc.get_freeze_count() > frozen / 2  # some of it has been freed meanwhile
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_a_caller_without_automatic_garbage_collection_keeps_it_off() -> None:
    """The simulation switches on only what it has switched off."""
    gc.disable()
    try:
        simulate(_register, NIGHT, NIGHT + timedelta(hours=1))
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("blocks", [True, False])
def test_a_task_that_is_torn_down_is_not_reported(
    blocks: bool, asyncio_log: Callable[[], list[str]]
) -> None:
    """Nobody retrieves what ends it, for whoever awaits it is torn down as well."""

    async def release() -> None:
        try:
            if blocks:
                time.sleep(7200)  # noqa: ASYNC251 - beyond the end
            await asyncio.sleep(7200)
        finally:
            raise OSError("no answer")

    async def work() -> None:
        releasing = asyncio.create_task(release())
        await asyncio.shield(releasing)

    def register(scheduler: Any) -> None:
        scheduler.add_job(work, "cron", minute=30)

    simulate(register, NIGHT, NIGHT + timedelta(hours=1))
    assert asyncio_log() == []


def test_a_task_that_begins_while_it_is_torn_down_is_not_reported(
    asyncio_log: Callable[[], list[str]],
) -> None:
    """It finds no running event loop, which is an error of its own."""

    async def block() -> None:
        time.sleep(7200)  # noqa: ASYNC251 - beyond the end

    async def release() -> None:
        await asyncio.sleep(1)

    async def work() -> None:
        await asyncio.gather(block(), release())

    def register(scheduler: Any) -> None:
        scheduler.add_job(work, "cron", minute=30)

    simulate(register, NIGHT, NIGHT + timedelta(hours=1))
    assert asyncio_log() == []


def test_a_task_that_failed_in_time_is_reported(asyncio_log: Callable[[], list[str]]) -> None:
    """Its error is the job's own, also where it is found after the end."""
    cycle: list[Any] = []

    async def fail() -> None:
        raise OSError("no answer")

    async def work() -> None:
        cycle.append([cycle, asyncio.create_task(fail())])

    def register(scheduler: Any) -> None:
        scheduler.add_job(work, "cron", minute=30)

    simulate(register, NIGHT, NIGHT + timedelta(hours=1))
    cycle.clear()
    (message,) = asyncio_log()
    assert "no answer" in message
