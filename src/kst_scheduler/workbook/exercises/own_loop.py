"""Run a coroutine while the kernel's own event loop stands still for a cell."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")


def in_own_loop(run: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Return what a coroutine returns, or raise what it raises; its loop has a thread of its own.

    The wait for it can be interrupted, and then leaves the thread behind.
    """
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(asyncio.run(run()))
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future.result()
