"""A shutdown of a scheduler that has another name.

target: app
nodes: 1
finds: KST015 nightly
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from kst_scheduler import KSTScheduler, cron

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


async def crawl() -> None:
    """Do the work."""


class Clock:
    """Holds the scheduler."""

    def __init__(self) -> None:
        self._inner = KSTScheduler()
        self._inner.add_job(crawl, cron(hour=3), id="nightly")

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run it in the block."""
        self._inner.start()
        try:
            yield
        finally:
            self._inner.shutdown()  # the fault


async def app(
    _scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Be an application that has a lifespan alone."""
    await receive()
    async with Clock().run():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
