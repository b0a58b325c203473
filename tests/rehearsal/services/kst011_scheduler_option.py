"""An option of a job at the scheduler.

target: scheduler
nodes: 1
finds: KST011
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(
    timezone="Asia/Seoul", coalesce=False, job_defaults={"misfire_grace_time": 300}
)


@scheduler.scheduled_job("cron", hour=3, id="nightly")
async def crawl() -> None:
    """Do the work."""
