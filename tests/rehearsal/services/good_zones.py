"""Jobs in zones that do not change their clocks, or change them at another hour.

target: register
"""

from __future__ import annotations

from typing import Any

from kst_scheduler import cron, once

JOBS = {"Asia/Tokyo": 9, "Asia/Singapore": 5, "Europe/Paris": 6, "America/New_York": 3}


async def work(where: str) -> None:
    """Do the work."""


def register(service: Any) -> None:
    """Add the jobs."""
    for zone, hour in JOBS.items():
        service.scheduler.add_job(
            once(service.ledger)(work),
            cron(hour=hour, timezone=zone),
            args=[zone],
            id=zone,
            allow_timezone=zone,
        )
