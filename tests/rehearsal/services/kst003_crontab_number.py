"""A crontab line with a number for the weekday.

target: scheduler
nodes: 1
finds: KST003 mondays
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


@scheduler.scheduled_job(CronTrigger.from_crontab("0 9 * * 1", timezone="Asia/Seoul"), id="mondays")
async def report() -> None:
    """Do the work."""
