from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from apscheduler.triggers.combining import OrTrigger

from kst_scheduler import at, cron, every, kst, on_business_days
from kst_scheduler.once.decorator import once
from kst_scheduler.service.next_fires import next_fires

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
    assert next_fires(jobs, 2, NOW) == (
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


def test_days_of_a_month_that_are_worked_are_shown() -> None:
    """Payday before Buddha's birthday's substitute day, and the month's last business day."""

    def add(service: Service) -> None:
        payday = on_business_days(cron(day=25, hour=9), otherwise="previous")
        closing = on_business_days(cron(hour=18), nth_of_month=-1)
        service.scheduler.add_job(asyncio.sleep, payday, [0], id="payday")
        service.scheduler.add_job(asyncio.sleep, closing, [0], id="closing")

    assert next_fires(add, 2, NOW) == (
        "payday: on day 25 of every month at 09:00 KST, "
        "moved to the previous Korean business day from a day off\n"
        "  Fri 2026-05-22 09:00:00 KST   Fri 2026-05-22 00:00:00 UTC\n"
        "  Thu 2026-06-25 09:00:00 KST   Thu 2026-06-25 00:00:00 UTC\n"
        "closing: on the last Korean business day of every month at 18:00 KST\n"
        "  Fri 2026-05-29 18:00:00 KST   Fri 2026-05-29 09:00:00 UTC\n"
        "  Tue 2026-06-30 18:00:00 KST   Tue 2026-06-30 09:00:00 UTC\n"
    )


def test_without_jobs_it_says_so() -> None:
    """An empty answer would look like a fault."""
    assert next_fires(lambda _: None, 2, NOW) == "there are no jobs\n"


def test_a_paused_job_is_shown_as_paused() -> None:
    """Whether it was added so, or paused by the jobs function."""

    def add(service: Service) -> None:
        service.scheduler.add_job(asyncio.sleep, cron(hour=3), [0], id="a", next_run_time=None)
        service.scheduler.add_job(asyncio.sleep, cron(hour=3), [0], id="b")
        service.scheduler.pause_job("b")

    assert next_fires(add, 2, NOW) == (
        "a: every day at 03:00 KST\n"
        "  paused: it does not fire until it is resumed\n"
        "b: every day at 03:00 KST\n"
        "  paused: it does not fire until it is resumed\n"
    )


def test_a_job_that_never_fires_again_is_not_called_paused() -> None:
    """Nothing resumes it, also where it was paused before its schedule ended."""

    def add(service: Service) -> None:
        over = cron(hour=3, end_date=kst(2020, 1, 1))
        service.scheduler.add_job(asyncio.sleep, over, [0], id="a")
        service.scheduler.add_job(asyncio.sleep, over, [0], id="b", next_run_time=None)

    assert next_fires(add, 2, NOW) == (
        "a: every day at 03:00 KST, until 2020-01-01 00:00 KST\n"
        "  never again\n"
        "b: every day at 03:00 KST, until 2020-01-01 00:00 KST\n"
        "  paused, and never again\n"
    )


def test_a_first_run_of_its_own_comes_first() -> None:
    """The schedule goes on after it, as in the scheduler."""

    def add(service: Service) -> None:
        service.scheduler.add_job(
            asyncio.sleep, cron(hour=3), [0], id="a", next_run_time=kst(2026, 5, 10, 3)
        )

    assert next_fires(add, 2, NOW) == (
        "a: every day at 03:00 KST\n"
        "  Sun 2026-05-10 03:00:00 KST   Sat 2026-05-09 18:00:00 UTC\n"
        "  Mon 2026-05-11 03:00:00 KST   Sun 2026-05-10 18:00:00 UTC\n"
    )


def test_jitter_is_named_and_not_drawn() -> None:
    """A second call shows the same: what is drawn here is not when the job will run."""

    def add(service: Service) -> None:
        service.scheduler.add_job(asyncio.sleep, cron(hour=3, jitter=600), [0], id="a")
        either = OrTrigger([cron(hour=4, jitter=600), cron(hour=5)], jitter=60)
        service.scheduler.add_job(asyncio.sleep, either, [0], id="b")

    shown = next_fires(add, 2, NOW)
    assert shown == next_fires(add, 2, NOW)
    assert shown == (
        "a: every day at 03:00 KST, each up to 600 s late\n"
        "  Sat 2026-05-09 03:00:00 KST   Fri 2026-05-08 18:00:00 UTC\n"
        "  Sun 2026-05-10 03:00:00 KST   Sat 2026-05-09 18:00:00 UTC\n"
        "b: every day at 04:00 KST, each up to 600 s late, or every day at 05:00 KST,"
        " each up to 60 s late\n"
        "  Sat 2026-05-09 04:00:00 KST   Fri 2026-05-08 19:00:00 UTC\n"
        "  Sat 2026-05-09 05:00:00 KST   Fri 2026-05-08 20:00:00 UTC\n"
    )
