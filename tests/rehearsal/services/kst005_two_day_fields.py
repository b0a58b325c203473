"""The 1st of a month, and Mondays, were meant.

target: add_jobs
finds: KST005 cleaning
"""

from __future__ import annotations

from typing import Any

from kst_scheduler import cron, once


async def clean() -> None:
    """Do the work."""


def add_jobs(service: Any) -> None:
    """Add the job."""
    trigger = cron(day=1, day_of_week="mon", hour=3)
    service.scheduler.add_job(once(service.ledger)(clean), trigger, id="cleaning")
