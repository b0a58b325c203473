"""A job ten minutes after another, with the default grace time.

target: scheduler
nodes: 1
finds: KST008 second
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul")


async def crawl() -> None:
    """Do the work."""


async def report() -> None:
    """Do more of it."""


scheduler.add_job(crawl, "cron", hour=3, id="first", misfire_grace_time=300)
scheduler.add_job(report, "cron", hour=3, minute=10, id="second")
