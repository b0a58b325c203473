"""Each replica has a ledger of its own.

target: app
finds: KST012 nightly
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from kst_scheduler import KSTScheduler, MemoryLedger, Reconciler, cron, once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ledger = MemoryLedger()
scheduler = KSTScheduler()


@scheduler.scheduled_job(cron(hour=3), id="nightly")
@once(ledger)
async def crawl() -> None:
    """Do the work."""


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Run the scheduler while the application runs."""
    async with Reconciler(scheduler, ledger):
        scheduler.start()
        yield
        await scheduler.drain(20)


app = FastAPI(lifespan=lifespan)
