"""End what an answer leaves behind, before it is reported in some other cell."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def end_leftovers() -> Iterator[None]:
    """Report no task and no coroutine of the block that nobody has awaited.

    asyncio and Python report them when they are freed. A reference cycle keeps them until the next
    garbage collection, and a global variable until its cell runs again.
    """
    make = asyncio.BaseEventLoop.__init__

    def make_quiet(loop: Any) -> None:
        make(loop)
        loop.set_exception_handler(_report_callbacks)

    asyncio.BaseEventLoop.__init__ = make_quiet  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        asyncio.BaseEventLoop.__init__ = make  # type: ignore[method-assign]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            gc.collect()


def _report_callbacks(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report as usual what is not about a task or a future that is freed."""
    if context.keys().isdisjoint({"task", "future"}):
        loop.default_exception_handler(context)
