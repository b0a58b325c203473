"""Twenty jobs, most of them due at night.

target: add_jobs
nights: 4
"""

from __future__ import annotations

from typing import Any

from kst_scheduler import cron, once


async def report() -> None:
    """Do the work."""


def add_jobs(service: Any) -> None:
    """Add the jobs."""
    for number in range(20):
        trigger = cron(hour=number % 8, minute=number * 3 % 60)
        service.scheduler.add_job(once(service.ledger)(report), trigger, id=f"report-{number}")
