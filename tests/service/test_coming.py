from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kst_scheduler import at, cron, every, kst
from kst_scheduler.once import once
from kst_scheduler.service.coming import coming

if TYPE_CHECKING:
    from kst_scheduler.service import Service

NOW = kst(2026, 5, 8, 12)


def jobs(service: Service) -> None:
    """Add a job of each kind, one of them run once on the service's ledger."""

    @once(service.ledger)
    async def crawl() -> None: ...

    service.scheduler.add_job(crawl, cron(day_of_week="fri,mon", hour=3), id="nightly")
    service.scheduler.add_job(asyncio.sleep, at(kst(2026, 5, 9)), [0], id="once-only")
    service.scheduler.add_job(asyncio.sleep, at(kst(2026, 5, 1)), [0], id="over")
    service.scheduler.add_job(asyncio.sleep, every(hours=12), [0], id="twice-a-day")


def test_each_job_s_fire_times_are_shown_in_both_zones() -> None:
    """The day of the week shows the slip of the date between Seoul and UTC."""
    assert coming(jobs, 2, NOW) == (
        "nightly: every Monday and Friday at 03:00 KST\n"
        "  Mon 2026-05-11 03:00:00 KST   Sun 2026-05-10 18:00:00 UTC\n"
        "  Fri 2026-05-15 03:00:00 KST   Thu 2026-05-14 18:00:00 UTC\n"
        "once-only: once, on 2026-05-09 at 00:00 KST\n"
        "  Sat 2026-05-09 00:00:00 KST   Fri 2026-05-08 15:00:00 UTC\n"
        "  then never again\n"
        "over: once, on 2026-05-01 at 00:00 KST\n"
        "  never again\n"
        "twice-a-day: every day at 00:00 and 12:00 KST\n"
        "  Fri 2026-05-08 12:00:00 KST   Fri 2026-05-08 03:00:00 UTC\n"
        "  Sat 2026-05-09 00:00:00 KST   Fri 2026-05-08 15:00:00 UTC\n"
    )


def test_without_jobs_it_says_so() -> None:
    """An empty answer would look like a fault."""
    assert coming(lambda _: None, 2, NOW) == "there are no jobs\n"
