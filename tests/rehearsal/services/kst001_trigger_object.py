"""A trigger object without a zone.

target: scheduler
nodes: 1
finds: KST001 nightly
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


@scheduler.scheduled_job(CronTrigger(hour=3, minute=0), id="nightly")
async def crawl() -> None:
    """Do the work."""
