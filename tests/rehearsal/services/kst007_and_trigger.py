"""Two crons, of which both must match.

target: scheduler
nights: 2
nodes: 1
finds: KST007 mondays
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.combining import AndTrigger
from apscheduler.triggers.cron import CronTrigger

SEOUL = "Asia/Seoul"
scheduler = AsyncIOScheduler(timezone=SEOUL, job_defaults={"misfire_grace_time": 300})
both = AndTrigger(
    [CronTrigger(hour=3, timezone=SEOUL), CronTrigger(day_of_week="mon", hour=3, timezone=SEOUL)]
)


@scheduler.scheduled_job(both, id="mondays")
async def crawl() -> None:
    """Do the work."""
