"""An option of add_job among the job defaults.

target: scheduler
nodes: 1
finds: KST011
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(
    timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300, "replace_existing": True}
)


@scheduler.scheduled_job("cron", hour=3, id="nightly")
async def crawl() -> None:
    """Do the work."""
