"""The second is given, and the minute is not.

target: scheduler
nodes: 1
finds: KST004 nightly
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


@scheduler.scheduled_job("cron", hour=3, second=0, id="nightly")
async def crawl() -> None:
    """Do the work."""
