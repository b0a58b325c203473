"""Exercises of notebook 10: read a log, read a table, and repair a service with eight faults."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.fire_times import fire_times
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.factories import cron, every
from kst_workbook.exercises.exercise import NotYetError, Right, as_pasted, exercise
from kst_workbook.exercises.judging import number_of, pictures, require_function, shown
from kst_workbook.scenes.broken_service import (
    copy_database,
    crawl_nps,
    renew_token,
    send_report,
    shared_redis,
)
from kst_workbook.scenes.hidden_services import DUE, LATE, locked_night
from kst_workbook.scenes.service_week import WANTED, WEEK, ServiceWeek, findings, one_week

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

LOGGING: Final = "https://apscheduler.readthedocs.io/en/3.x/userguide.html#troubleshooting"
REDIS_LOCK: Final = "https://redis.readthedocs.io/en/stable/lock.html"
MAX_TTL: Final = 86_400.0


@exercise(
    "10.1",
    title="One line of a log",
    variable="went_on",
    hints=(
        "The line has a length of time, a zone, and one run time. Which run is that one?",
        "`next run at` is no longer the run that was lost: the scheduler had moved on by then.",
        "The lost run was due a day earlier, at that hour. In Korea it was another date by then.",
    ),
    solution="""
        went_on = kst(2026, 5, 11, 3, 36, 40)
    """,
    link=LOGGING,
)
def when_it_went_on(answer: Any) -> Right:
    """Say from the line when the process went on."""
    if not isinstance(answer, datetime):
        raise NotYetError(f"`went_on` is {shown(answer)}. Expected a moment, such as `kst(...)`.")
    if answer.tzinfo is None:
        raise NotYetError(
            f"`went_on` is {shown(answer)}, without a zone: it could be nine hours off. Use kst()."
        )
    said = f"You say {_in_korea(answer)} in Korea, which is {_in_utc(answer)} in UTC."
    if answer >= DUE + timedelta(hours=23):
        raise NotYetError(f"{said} By then the scheduler is at work on the run after the lost one.")
    if answer < DUE:
        raise NotYetError(f"{said} At that moment the run that was lost was not yet due.")
    if answer != DUE + LATE:
        late = answer - DUE
        raise NotYetError(f"{said} The lost run would have been {late} late; the line says {LATE}.")
    return Right(
        "A line that was missed names the run after the one that was lost, in the trigger's zone. "
        "The lost one was due at 18:30 UTC, which is 03:30 in Korea on the next date."
    )


@exercise(
    "10.2",
    title="The time to live of a lock",
    variable="ttl",
    hints=(
        "Each crawl takes 40 minutes from when it has the lock. When did B have it?",
        "A still crawled when B began: the lock was no longer A's. What took it away?",
        "Subtract 40 minutes from where B ended: so long after 03:00 the lock was free.",
    ),
    solution="""
        ttl = 12 * 60
    """,
    link=REDIS_LOCK,
)
def how_long_the_lock_lives(answer: Any) -> Right:
    """Say from the table after how many seconds the lock expires; judged by such a night."""
    seconds = number_of(answer)
    if seconds is None:
        raise NotYetError(f"`ttl` is {shown(answer)}. Expected a number of seconds.")
    if not 1 <= seconds <= MAX_TTL:
        raise NotYetError(f"`ttl` is {shown(answer)}. Expected a time between a second and a day.")
    mine, theirs = locked_night(seconds), locked_night()
    drawn = pictures(mine, theirs)
    if not mine.runs.equals(theirs.runs):
        ends = ", ".join(
            f"{row.node} at {row.finished_at:%H:%M:%S} ({row.status})"
            for row in mine.runs.itertuples()
        )
        raise NotYetError(
            f"With a lock that lives {seconds:g} seconds the crawls end: {ends}.", drawn
        )
    if seconds % 60:
        raise NotYetError(
            f"With {seconds:g} seconds the crawls end as in the table, because a replica tries "
            "the lock only every ten seconds. Expected a whole number of minutes.",
            drawn,
        )
    return Right(
        (
            "A lock that is not renewed frees itself while its owner works: two crawls ran side by "
            "side, and both learned it only when they gave the lock back."
        ),
        drawn[:1],
    )


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
    link=LOGGING,
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


def _in_korea(at: datetime) -> str:
    return f"{at.astimezone(KST):%Y-%m-%d %H:%M:%S}"


def _in_utc(at: datetime) -> str:
    return f"{at.astimezone(DUE.tzinfo):%Y-%m-%d %H:%M:%S}"
