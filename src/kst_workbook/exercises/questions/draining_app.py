"""An application that lets its runs end when it is stopped."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler


def draining_app(seconds: float, scheduler: KSTScheduler) -> Any:
    """Return an application as section 5.2 makes it."""
    from fastapi import FastAPI  # noqa: PLC0415 - slow to load

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        scheduler.start()
        yield
        await scheduler.drain(seconds)

    return FastAPI(lifespan=lifespan)
