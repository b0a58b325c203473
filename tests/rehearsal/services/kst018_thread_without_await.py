"""A function that is handed to a thread without await, beside one with it.

target: scheduler
nodes: 1
nights: 1
finds: KST018 nightly
"""

from __future__ import annotations

import asyncio

from apscheduler.schedulers.asyncio import AsyncIOScheduler

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


def crawl(page: int) -> None:
    """Do a part of the work."""


@scheduler.scheduled_job("cron", hour=3, id="nightly")
async def nightly() -> None:
    """Do the work."""
    asyncio.to_thread(crawl, 1)  # the fault


@scheduler.scheduled_job("cron", hour=4, id="well")
async def well() -> None:
    """Do the work."""
    await asyncio.to_thread(crawl, 1)
    later = asyncio.sleep(1)
    await later
