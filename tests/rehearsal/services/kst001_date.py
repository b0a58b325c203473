"""A date without a zone.

target: scheduler
nodes: 1
finds: KST001 launch
"""

from __future__ import annotations

from datetime import datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


async def launch() -> None:
    """Do the work."""


when = DateTrigger(datetime(2026, 5, 10, 9))  # noqa: DTZ001
scheduler.add_job(launch, when, id="launch")  # the fault
