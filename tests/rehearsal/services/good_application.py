"""A FastAPI application: its ledger is SQLite, and its lifespan drains the scheduler.

target: app
nights: 4
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from kst_scheduler import KSTScheduler, Reconciler, SqlLedger, cron, once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ledger = SqlLedger("sqlite+aiosqlite:///runs.db")
scheduler = KSTScheduler()


@scheduler.scheduled_job(cron(hour=3), id="nightly")
@once(ledger)
async def crawl() -> None:
    """Do the work."""


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Run the scheduler while the application runs."""
    await ledger.open()
    async with Reconciler(scheduler, ledger):
        scheduler.start()
        yield
        await scheduler.drain(20)
    await ledger.close()


app = FastAPI(lifespan=lifespan)
