"""The lesson "APScheduler + KST schedules" in one file: steps 2 to 6 and 9, as they are written."""

import time
from contextlib import asynccontextmanager
from datetime import datetime

import pytz
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from fastapi import FastAPI, HTTPException

from work import crawl_nps, db, renew_token, send_launch, send_report

KST = pytz.timezone("Asia/Seoul")

JOB_DEFAULTS = {
    "max_instances": 1,
    "coalesce": True,
    "misfire_grace_time": 300,
    "replace_existing": True,
}
scheduler = AsyncIOScheduler(timezone=KST, job_defaults=JOB_DEFAULTS)


@scheduler.scheduled_job(CronTrigger(hour=3, minute=0), id="daily-nps-crawl")
async def nps_job():
    start = time.time()
    try:
        rows = await crawl_nps()
        await db.execute(
            "INSERT INTO crawl_runs (source, status, rows, duration_ms) VALUES ($1, $2, $3, $4)",
            "nps", "ok", rows, int((time.time() - start) * 1000)
        )
    except Exception as e:
        await db.execute(
            "INSERT INTO crawl_runs (source, status, error) VALUES ($1, $2, $3)",
            "nps", "fail", str(e))
        raise


scheduler.add_job(renew_token, IntervalTrigger(hours=1), id="hourly-token")
scheduler.add_job(send_report, CronTrigger(day_of_week="mon,wed,fri", hour=3), id="report")
scheduler.add_job(send_launch, DateTrigger(run_date=datetime(2026, 5, 10, 9, 0)), id="launch")


@asynccontextmanager
async def lifespan(app):
    scheduler.start()
    yield
    scheduler.shutdown(wait=True)


app = FastAPI(lifespan=lifespan)


@app.post("/admin/jobs/{job_id}/run")
async def trigger(job_id: str):
    job = scheduler.get_job(job_id)
    if not job:
        raise HTTPException(404)
    job.modify(next_run_time=datetime.now(KST))
    return {"ok": True}
