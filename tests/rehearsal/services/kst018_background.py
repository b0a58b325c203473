"""A coroutine on a BackgroundScheduler.

target: scheduler
nodes: 1
finds: KST018 nightly
"""

from __future__ import annotations

from apscheduler.schedulers.background import BackgroundScheduler

scheduler = BackgroundScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


@scheduler.scheduled_job("cron", hour=3, id="nightly")
async def crawl() -> None:
    """Do the work."""
