"""A zone of pytz as tzinfo=.

target: make
nodes: 1
finds: KST002 launch
"""

from __future__ import annotations

from datetime import datetime

import pytz
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

KST = pytz.timezone("Asia/Seoul")


async def launch() -> None:
    """Do the work."""


def make() -> AsyncIOScheduler:
    """Return the scheduler."""
    scheduler = AsyncIOScheduler(timezone=KST, job_defaults={"misfire_grace_time": 300})
    due = datetime(2026, 5, 14, 9, 0, tzinfo=KST)
    scheduler.add_job(launch, DateTrigger(due), id="launch")
    return scheduler
