"""Two schedulers, and an option in the wrong place of the second.

target: start
nodes: 1
finds: KST011
"""

from __future__ import annotations

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler


async def crawl() -> None:
    """Do the work."""


def copy() -> None:
    """Do the work."""


def start() -> None:
    """Start both."""
    loop = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})
    loop.add_job(crawl, "cron", hour=3)
    threads = BackgroundScheduler(timezone="Asia/Seoul", misfire_grace_time=300)  # the fault
    threads.add_job(copy, "cron", hour=4, misfire_grace_time=300)
    loop.start()
    threads.start()
