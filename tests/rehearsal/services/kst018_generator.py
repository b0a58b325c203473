"""A job with a yield, of which nothing is run.

target: scheduler
nodes: 1
nights: 2
finds: KST018 nightly
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


async def crawl() -> AsyncIterator[int]:
    """Do the work."""
    for page in range(10):
        yield page


scheduler.add_job(crawl, "cron", hour=3, id="nightly")  # the fault
