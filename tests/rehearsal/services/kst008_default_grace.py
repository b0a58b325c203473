"""The default grace time, which is one second.

target: scheduler
nodes: 1
finds: KST008 nightly
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul")


@scheduler.scheduled_job("cron", hour=3, id="nightly")
async def crawl() -> None:
    """Do the work."""
