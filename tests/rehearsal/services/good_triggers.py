"""A date with a zone, jitter, a crontab line, business days, an interval with a beginning.

target: scheduler
nodes: 1
finds: none
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler import cron, crontab, on_business_days

SEOUL = ZoneInfo("Asia/Seoul")
scheduler = AsyncIOScheduler(timezone=SEOUL, job_defaults={"misfire_grace_time": 3600})


async def work(_name: str) -> None:
    """Do the work."""


for name, trigger in {
    "launch": DateTrigger(datetime(2026, 5, 10, 9, tzinfo=SEOUL)),
    "jitter": CronTrigger(hour=3, jitter=120, timezone=SEOUL),
    "crontab": crontab("0 9 * * 1-5"),
    "business": on_business_days(cron(hour=8, minute=30)),
    "interval": IntervalTrigger(hours=6, start_date=datetime(2026, 1, 1, tzinfo=SEOUL)),
    "calendar": CalendarIntervalTrigger(weeks=1, hour=1, start_date="2026-05-01", timezone=SEOUL),
    "either": OrTrigger([cron(hour=3), cron(hour=4, minute=30)]),
    "names": CronTrigger.from_crontab("15 7 * * mon-fri", timezone=SEOUL),
    "steps": CronTrigger(minute="*/15", second=0, timezone=SEOUL),
    "last": CronTrigger(day="last", hour=23, timezone=SEOUL),
}.items():
    scheduler.add_job(work, trigger, args=[name], id=name)
