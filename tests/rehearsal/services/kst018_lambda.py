"""A lambda that calls a coroutine function.

target: scheduler
nodes: 1
finds: KST018 nightly
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


async def crawl(pages: int) -> None:
    """Do the work."""


scheduler.add_job(lambda: crawl(10), "cron", hour=3, id="nightly")
