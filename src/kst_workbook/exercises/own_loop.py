"""Run a coroutine while the kernel's own event loop is blocked by a cell."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import sys
import threading
from concurrent.futures import Future
from traceback import walk_stack
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

Result = TypeVar("Result")

_running: Final[dict[threading.Thread, asyncio.Runner]] = {}
"""The loops in progress, by their threads."""


def in_own_loop(run: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Return what a coroutine returns, or raise what it raises; its loop has a thread of its own.

    When the wait for it is interrupted, it is stopped, whether it awaits something or not.
    """
    future: Future[Result] = Future()
    runner = asyncio.Runner()

    def work() -> None:
        try:
            with runner:
                future.set_result(runner.run(run()))
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller of in_own_loop
            future.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    _running[thread] = runner
    thread.start()
    try:
        return future.result()
    finally:
        del _running[thread]
        if not future.done():
            _stop(runner, thread)


def stacks_of_own_loops() -> list[Iterator[tuple[FrameType, int]]]:
    """Return where the coroutines in progress are, the innermost call of each first.

    A loop that waits runs none of its tasks: then these are where their ``await`` is.
    """
    stacks = []
    for thread, runner in list(_running.items()):
        frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented
        if frame is not None:
            stacks.append(walk_stack(frame))
        with contextlib.suppress(RuntimeError):  # it has ended meanwhile
            stacks += [_awaits(task.get_coro()) for task in asyncio.all_tasks(runner.get_loop())]
    return stacks


def _awaits(coroutine: Any) -> Iterator[tuple[FrameType, int]]:
    """Return the frames of a coroutine that is suspended, the innermost first."""
    frames: list[tuple[FrameType, int]] = []
    while frame := getattr(coroutine, "cr_frame", None):
        frames.append((frame, frame.f_lineno))
        coroutine = coroutine.cr_await
    return reversed(frames)


def _stop(runner: asyncio.Runner, thread: threading.Thread) -> None:
    """Let the loop wake up, and raise SystemExit in whatever its thread executes next."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
    )
    with contextlib.suppress(RuntimeError):  # it has come to its end meanwhile
        runner.get_loop().call_soon_threadsafe(bool)
