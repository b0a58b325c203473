from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from kst_workbook.exercises import check
from kst_workbook.exercises.leftovers import end_leftovers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    AsyncioLog = Callable[[], list[str]]


async def _fail() -> None:
    raise OSError("no answer")


def test_writes_that_nobody_awaits_are_not_reported_later(asyncio_log: AsyncioLog) -> None:
    """Nor when the variable is assigned again in which the reader keeps their tasks."""
    tasks: list[Any] = []

    def recorded(write: Callable[..., Coroutine[Any, Any, None]]) -> Any:
        def decorate(job: Callable[[], Coroutine[Any, Any, int]]) -> Any:
            async def run() -> int:
                result = await job()
                tasks.append(asyncio.create_task(write("ok", 1, None)))
                return result

            return run

        return decorate

    assert check("9.4", recorded).outcome == "not yet"
    tasks.clear()
    assert asyncio_log() == []


def test_a_coroutine_that_nobody_awaits_ends_without_a_warning() -> None:
    """Each warning is an error here."""
    with end_leftovers():
        cycle: list[Any] = []
        cycle.append([cycle, _fail()])
        del cycle
    gc.collect()


def test_an_error_of_a_callback_is_reported(asyncio_log: AsyncioLog) -> None:
    """It comes at once."""

    async def work() -> None:
        asyncio.get_running_loop().call_soon(int, "no number")
        await asyncio.sleep(0)

    with end_leftovers():
        asyncio.run(work())
    (message,) = asyncio_log()
    assert message.startswith("Exception in callback int(")


def test_tasks_of_other_loops_are_reported_as_ever(asyncio_log: AsyncioLog) -> None:
    """Those of the reader's own cells."""
    with pytest.raises(ZeroDivisionError), end_leftovers():
        raise ZeroDivisionError

    async def work() -> None:
        failed = asyncio.create_task(_fail())
        await asyncio.sleep(0)
        del failed

    asyncio.run(work())
    (message,) = asyncio_log()
    assert message.startswith("Task exception was never retrieved")
