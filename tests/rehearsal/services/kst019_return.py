"""An error that ends the run early, as if all were well; and a suppressed one.

target: add_jobs
nights: 2
finds: KST019 nightly
"""

from __future__ import annotations

from typing import Any

from kst_scheduler import cron, once


async def fetch() -> list[str]:
    """Do a part of the work."""
    return []


async def crawl() -> None:
    """Do the work."""
    try:
        pages = await fetch()
    except (ConnectionError, Exception):  # noqa: BLE001 - the fault
        return
    print(len(pages))  # noqa: T201


def add_jobs(service: Any) -> None:
    """Add the job."""
    service.scheduler.add_job(once(service.ledger)(crawl), cron(hour=3), id="nightly")
