from __future__ import annotations

import asyncio
import threading

import pytest

from kst_scheduler.workbook.exercises.own_loop import in_own_loop
from kst_scheduler.workbook.exercises.time_limit import TookTooLongError, time_limit


async def _who_runs() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


async def _raise() -> None:
    raise ValueError("a wrong turn")


async def _wait_for_ever() -> None:
    await asyncio.Event().wait()


async def _turn_for_ever() -> None:
    while True:
        pass


def test_it_runs_beside_a_running_loop() -> None:
    """As in a kernel, where asyncio.run would refuse."""

    async def cell() -> str:
        return in_own_loop(_who_runs)

    assert asyncio.run(cell()) != threading.current_thread().name


def test_what_the_coroutine_raises_is_raised() -> None:
    """In the thread that waits for it."""
    with pytest.raises(ValueError, match="a wrong turn"):
        in_own_loop(_raise)


@pytest.mark.parametrize("endless", [_wait_for_ever, _turn_for_ever])
def test_what_never_ends_is_stopped(endless: object) -> None:
    """With its thread, which would otherwise take the kernel's time for good."""
    before = set(threading.enumerate())
    with pytest.raises(TookTooLongError), time_limit(0.2):
        in_own_loop(endless)  # type: ignore[arg-type]
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
