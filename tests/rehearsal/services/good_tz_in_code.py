"""A service that sets its zone itself, before APScheduler looks for the host's.

target: scheduler
nodes: 1
finds: none
"""

from __future__ import annotations

import os
import time

os.environ["TZ"] = "Asia/Seoul"
time.tzset()

from apscheduler.schedulers.asyncio import AsyncIOScheduler  # noqa: E402
from apscheduler.triggers.cron import CronTrigger  # noqa: E402

scheduler = AsyncIOScheduler(job_defaults={"misfire_grace_time": 300})


async def crawl() -> None:
    """Do the work."""


scheduler.add_job(crawl, CronTrigger(hour=3), id="nightly")
scheduler.add_job(crawl, "cron", hour=5, id="morning")
