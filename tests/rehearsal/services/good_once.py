"""A nightly job, run once by all replicas together.

target: add_jobs
"""

from __future__ import annotations

from typing import Any

from kst_scheduler import cron, once


async def crawl() -> None:
    """Do the work."""


def add_jobs(service: Any) -> None:
    """Add the job."""
    service.scheduler.add_job(once(service.ledger)(crawl), cron(hour=3), id="nightly")
