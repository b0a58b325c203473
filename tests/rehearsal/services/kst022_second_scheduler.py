"""Two schedulers, of which one is started.

target: start
nodes: 1
finds: KST022
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler

DEFAULTS = {"misfire_grace_time": 300}
nights = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults=DEFAULTS)
days = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults=DEFAULTS)  # the fault


@nights.scheduled_job("cron", hour=3)
async def crawl() -> None:
    """Do the work."""


@days.scheduled_job("cron", hour=15)
async def report() -> None:
    """Do the work."""


def start() -> None:
    """Start one."""
    nights.start()
