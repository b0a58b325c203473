"""Hear of each scheduler of a service that is shut down."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import BaseScheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def watched_shutdowns(
    shuts_down: Callable[[], object], ends: Callable[[BaseScheduler], object]
) -> Iterator[None]:
    """Call back in the block when a scheduler is shut down.

    Args:
        shuts_down: called where an AsyncIOScheduler is told to, with ``wait``. It does so later, in
            its event loop.
        ends: called before a scheduler forgets its jobs.

    """
    shutdown, end = AsyncIOScheduler.shutdown, BaseScheduler.shutdown

    def noted_shutdown(self: AsyncIOScheduler, wait: bool = True) -> None:
        if wait:
            shuts_down()
        shutdown(self, wait)

    def noted_end(self: BaseScheduler, wait: bool = True) -> None:
        ends(self)
        end(self, wait)

    AsyncIOScheduler.shutdown, BaseScheduler.shutdown = noted_shutdown, noted_end
    try:
        yield
    finally:
        AsyncIOScheduler.shutdown, BaseScheduler.shutdown = shutdown, end
