"""Two replicas on one job store: each of them runs what is due.

target: scheduler
finds: KST012 nightly
"""

from __future__ import annotations

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(
    timezone="Asia/Seoul",
    jobstores={"default": SQLAlchemyJobStore("sqlite:///jobs.db")},
    job_defaults={"misfire_grace_time": 300},
)


async def crawl() -> None:
    """Do the work."""


scheduler.add_job(crawl, "cron", hour=3, id="nightly", replace_existing=True)
