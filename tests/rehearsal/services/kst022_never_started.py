"""The lifespan forgets the scheduler.

target: app
nodes: 1
finds: KST022
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from kst_scheduler import KSTScheduler, cron

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

scheduler = KSTScheduler()


@scheduler.scheduled_job(cron(hour=3), id="nightly")
async def crawl() -> None:
    """Do the work."""


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Start nothing."""
    yield


app = FastAPI(lifespan=lifespan)
