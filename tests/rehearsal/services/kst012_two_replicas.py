"""No ledger and no lock.

target: register
finds: KST012 nightly
"""

from __future__ import annotations

from kst_scheduler import KSTScheduler, cron


async def crawl() -> None:
    """Do the work."""


def register(scheduler: KSTScheduler) -> None:
    """Add the job."""
    scheduler.add_job(crawl, cron(hour=3), id="nightly")
