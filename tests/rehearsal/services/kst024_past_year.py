"""A job of a year that is over, beside one that was paused on purpose.

target: scheduler
nodes: 1
finds: KST024 campaign
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


async def send() -> None:
    """Do the work."""


scheduler.add_job(send, "cron", year=2025, hour=9, id="campaign")  # the fault
scheduler.add_job(send, "cron", hour=9, id="paused", next_run_time=None)
