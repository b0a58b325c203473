"""A lambda, and a job store that keeps names.

target: scheduler
nodes: 1
finds: KST017 nightly
"""

from __future__ import annotations

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(
    timezone="Asia/Seoul", jobstores={"default": SQLAlchemyJobStore(url="sqlite://")}
)
scheduler.add_job(lambda: None, "cron", hour=3, id="nightly")
