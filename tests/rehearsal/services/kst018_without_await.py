"""A coroutine that is called without await.

target: scheduler
nodes: 1
finds: KST018 nightly
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


async def crawl(page: int) -> None:
    """Do a part of the work."""


@scheduler.scheduled_job("cron", hour=3, id="nightly")
async def nightly() -> None:
    """Do the work."""
    for page in range(10):
        crawl(page)  # the fault
