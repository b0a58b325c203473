"""The thirtieth of February.

target: scheduler
nodes: 1
finds: KST024 closing
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


async def close() -> None:
    """Do the work."""


scheduler.add_job(close, "cron", month=2, day=30, hour=3, id="closing")  # the fault
scheduler.add_job(close, "cron", hour=3, id="nightly")
