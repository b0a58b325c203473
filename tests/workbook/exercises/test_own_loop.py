from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from kst_workbook.exercises.own_loop import in_own_loop
from kst_workbook.exercises.time_limit import TookTooLongError, time_limit


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


async def _look_for_ever() -> None:
    await _wait_for_ever()


@pytest.mark.parametrize(
    ("endless", "waited", "lines"),
    [
        (_wait_for_ever, True, {"await asyncio.Event().wait()"}),
        (_look_for_ever, True, {"await asyncio.Event().wait()"}),
        (_turn_for_ever, False, {"while True:", "pass"}),
    ],
)
def test_what_never_ends_is_stopped(endless: Any, waited: bool, lines: set[str]) -> None:
    """With its thread, which would otherwise take the kernel's time for good; with its line."""
    before = set(threading.enumerate())
    with pytest.raises(TookTooLongError) as stopped, time_limit(0.3, waiting=0.3):
        in_own_loop(endless)
    assert stopped.value.waited is waited
    own = [frame.line for frame in stopped.value.where if frame.filename == __file__]
    assert own[-1] in lines
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
