"""A scheduler without a zone.

target: scheduler
nodes: 1
finds: KST001 nightly
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(job_defaults={"misfire_grace_time": 300})


async def crawl() -> None:
    """Do the work."""


scheduler.add_job(crawl, "cron", hour=3, id="nightly")
