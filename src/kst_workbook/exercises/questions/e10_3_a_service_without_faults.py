"""Exercise 10.3: a service with eight faults."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from kst_scheduler.fire_times import fire_times
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.triggers.factories import cron, every
from kst_workbook.exercises.exercise import NotYetError, Right, as_pasted, exercise
from kst_workbook.exercises.judging import pictures, require_function
from kst_workbook.exercises.questions.apscheduler_docs import TROUBLESHOOTING
from kst_workbook.scenes.broken_service import (
    copy_database,
    crawl_nps,
    renew_token,
    send_report,
    shared_redis,
)
from kst_workbook.scenes.service_week import WANTED, WEEK, ServiceWeek, findings, one_week

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler


def repaired(scheduler: AsyncIOScheduler) -> None:
    """Add the four jobs of the service, without its faults."""
    late = {"misfire_grace_time": 300}

    @scheduler.scheduled_job(cron(hour=3, minute=0), id="daily-nps-crawl", **late)
    async def daily_crawl() -> None:
        async with redis_lock("lock:daily-nps-crawl", ttl=30, client=shared_redis()):
            await crawl_nps()

    @scheduler.scheduled_job(cron(hour=6, minute=0), id="morning-report", **late)
    async def morning_report() -> None:
        await send_report()

    @scheduler.scheduled_job(every(hours=8), id="backup", **late)
    def backup() -> None:
        copy_database()

    scheduler.add_job(renew_token, cron(minute=30), id="hourly-token", **late)


@exercise(
    "10.3",
    title="A service with eight faults",
    variable="repaired",
    hints=(
        "Take the findings one by one; each has a gotcha of this notebook, and one line of code.",
        "Four are about when: a zone, an open field, what an interval counts from, and lateness.",
        "Two are about the event loop: a slow plain function, and a coroutine that nobody awaits.",
        "Two are about bad nights: how long a lock outlives its owner, and what `except` hides.",
    ),
    solution=as_pasted(repaired),
    link=TROUBLESHOOTING,
)
def a_service_without_faults(answer: Any) -> Right:
    """Run the service through its week, and name the findings that are left."""
    week = one_week(require_function(answer, "repaired"))
    wanted = {job: fire_times(trigger, *WEEK) for job, (trigger, _) in WANTED.items()}
    drawn = pictures(week.result, _expected_week().result, expected=wanted)
    if left := findings(week):
        count = f"{len(left)} findings are" if len(left) > 1 else "One finding is"
        raise NotYetError("\n\n".join([f"{count} left.", *left]), drawn)
    return Right(
        (
            "A week with five pauses and two crashes, a day without the NPS, and a second replica: "
            "nothing is lost, doubled or told as a success that it was not."
        ),
        drawn[1:],
    )


@cache
def _expected_week() -> ServiceWeek:
    return one_week(repaired)
