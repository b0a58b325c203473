"""An interval of a day, and a deployment before it is over.

target: scheduler
nodes: 1
finds: KST006 daily
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


@scheduler.scheduled_job("interval", hours=24, id="daily")
async def crawl() -> None:
    """Do the work."""
