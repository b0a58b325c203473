"""The lesson's steps 2 to 6 and 9 in one application, as they are written.

target: app
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytz
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from fastapi import FastAPI, HTTPException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KST = pytz.timezone("Asia/Seoul")
JOB_DEFAULTS = {
    "max_instances": 1,
    "coalesce": True,
    "misfire_grace_time": 300,
    "replace_existing": True,
}
scheduler = AsyncIOScheduler(timezone=KST, job_defaults=JOB_DEFAULTS)


async def crawl_nps() -> int:
    """Do the work."""
    return 250


async def execute(*_row: Any) -> None:
    """Write a row."""


@scheduler.scheduled_job(CronTrigger(hour=3, minute=0), id="daily-nps-crawl")
async def daily_crawl() -> None:
    """Crawl."""
    await crawl_nps()


scheduler.add_job(crawl_nps, IntervalTrigger(hours=1), id="hourly")
scheduler.add_job(crawl_nps, DateTrigger(run_date=datetime(2026, 5, 10, 9, 0)), id="launch")  # noqa: DTZ001
scheduler.add_job(crawl_nps, CronTrigger(day_of_week="mon,wed,fri", hour=3), id="weekdays")


@scheduler.scheduled_job(CronTrigger(hour=3), id="nps")
async def nps_job() -> None:
    """Crawl, and write a row."""
    start = time.time()
    try:
        rows = await crawl_nps()
        await execute("nps", "ok", rows, int((time.time() - start) * 1000))
    except Exception as error:
        await execute("nps", "fail", str(error))
        raise


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Run the scheduler while the application runs."""
    scheduler.start()
    yield
    scheduler.shutdown(wait=True)


app = FastAPI(lifespan=lifespan)


@app.post("/admin/jobs/{job_id}/run")
async def trigger(job_id: str) -> dict[str, bool]:
    """Run a job now."""
    job = scheduler.get_job(job_id)
    if not job:
        raise HTTPException(404)
    job.modify(next_run_time=datetime.now(KST))
    return {"ok": True}
