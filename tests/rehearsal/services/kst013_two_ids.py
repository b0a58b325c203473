"""One function under two ids, the second of them half an hour later.

target: register
nodes: 1
minutes: 40
finds: KST013 again
"""

from __future__ import annotations

from kst_scheduler import KSTScheduler, cron


async def crawl() -> None:
    """Do the work."""


def register(scheduler: KSTScheduler) -> None:
    """Add the jobs."""
    scheduler.add_job(crawl, cron(hour=3), id="nightly")
    scheduler.add_job(crawl, cron(hour=3, minute=30), id="again")
