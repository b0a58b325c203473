"""Half past midnight in New York.

target: add_jobs
finds: KST020 mondays
"""

from __future__ import annotations

from typing import Any

from kst_scheduler import cron, once

NEW_YORK = "America/New_York"


async def report() -> None:
    """Do the work."""


def add_jobs(service: Any) -> None:
    """Add the job."""
    service.scheduler.add_job(
        once(service.ledger)(report),
        cron(day_of_week="mon", hour=0, minute=30, timezone=NEW_YORK),
        id="mondays",
        allow_timezone=NEW_YORK,
    )
