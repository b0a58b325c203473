"""A run by hand that moves the schedule.

target: add_jobs
nights: 2
finds: KST021
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kst_scheduler import KST, KSTScheduler, cron, once


async def crawl() -> None:
    """Do the work."""


def add_jobs(service: Any) -> None:
    """Add the job."""
    service.scheduler.add_job(once(service.ledger)(crawl), cron(hour=3), id="nightly")


async def run_now(scheduler: KSTScheduler) -> str:
    """Run the job now, and pause it."""
    scheduler.get_job("nightly").modify(next_run_time=datetime.now(KST))  # the fault
    scheduler.modify_job("nightly", next_run_time=None)
    return "ok"
