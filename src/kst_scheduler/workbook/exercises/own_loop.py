"""Run a coroutine while the kernel's own event loop stands still for a cell."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")


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
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
            future.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        return future.result()
    finally:
        if not future.done():
            _stop(runner, thread)


def _stop(runner: asyncio.Runner, thread: threading.Thread) -> None:
    """Let the loop wake up, and raise SystemExit in whatever its thread executes next."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
    )
    with contextlib.suppress(RuntimeError):  # it has come to its end meanwhile
        runner.get_loop().call_soon_threadsafe(bool)
