"""Twelve jobs of one moment, and ten threads.

target: scheduler
nodes: 1
minutes: 10
finds: KST009
"""

from __future__ import annotations

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(
    timezone="Asia/Seoul",
    executors={"default": ThreadPoolExecutor(10)},
    job_defaults={"misfire_grace_time": 300},
)


def report() -> None:
    """Do the work."""


for number in range(12):
    scheduler.add_job(report, "cron", hour=3, id=f"report-{number:02}")
