"""Two jobs of one id, before the scheduler has started.

target: scheduler
nodes: 1
finds: KST011 nightly
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


async def crawl() -> None:
    """Do the work."""


scheduler.add_job(crawl, "cron", hour=3, id="nightly")
scheduler.add_job(crawl, "cron", hour=4, id="nightly")
