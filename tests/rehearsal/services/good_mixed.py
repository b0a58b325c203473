"""A job each ten minutes, one on business days, one on the last day of a month, one in New York.

target: register
nights: 4
"""

from __future__ import annotations

from typing import Any

from kst_scheduler import cron, every, on_business_days, once


async def work(what: str) -> None:
    """Do the work."""


def register(service: Any) -> None:
    """Add the jobs."""
    for name, trigger in {
        "often": every(minutes=10),
        "morning": on_business_days(cron(hour=9)),
        "month": cron(day="last", hour=1, minute=30),
        "first-monday": cron(day="1-7", day_of_week="mon", hour=6),
    }.items():
        service.scheduler.add_job(once(service.ledger)(work), trigger, args=[name], id=name)
    service.scheduler.add_job(
        once(service.ledger)(work),
        cron(hour=16, timezone="America/New_York"),
        args=["closing"],
        id="closing",
        allow_timezone="America/New_York",
    )
