"""A job without an id, in the lifespan of an application.

target: app
finds: KST012 refresh
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from kst_scheduler import KSTScheduler, every

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def refresh() -> None:
    """Do the work."""


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Run a scheduler while the application runs."""
    scheduler = KSTScheduler()
    scheduler.add_job(refresh, every(hours=1))
    scheduler.start()
    yield
    await scheduler.drain(20)


app = FastAPI(lifespan=lifespan)
