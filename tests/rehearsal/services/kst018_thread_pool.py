"""A coroutine in a thread.

target: scheduler
nodes: 1
finds: KST018 nightly
"""

from __future__ import annotations

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(
    timezone="Asia/Seoul",
    executors={"default": ThreadPoolExecutor(4)},
    job_defaults={"misfire_grace_time": 300},
)


@scheduler.scheduled_job("cron", hour=3, id="nightly")
async def crawl() -> None:
    """Do the work."""
