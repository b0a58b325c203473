"""Monday to Friday, as crontab counts, which is Tuesday to Saturday here.

target: scheduler
nodes: 1
finds: KST003 morning
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

SEOUL = "Asia/Seoul"
scheduler = AsyncIOScheduler(timezone=SEOUL, job_defaults={"misfire_grace_time": 300})


@scheduler.scheduled_job(
    CronTrigger.from_crontab("0 9 * * 1-5", timezone=SEOUL),  # the fault
    id="morning",
)
async def report() -> None:
    """Do the work."""
