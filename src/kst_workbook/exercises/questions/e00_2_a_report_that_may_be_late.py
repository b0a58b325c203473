"""Exercise 0.2: A report that may be late."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import tzlocal

from kst_scheduler.simulation import Freeze, simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.host_zone import move_jobs
from kst_workbook.exercises.judging import moment, pictures, require_function
from kst_workbook.exercises.questions.lesson_hosts import lesson_scheduler, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_scheduler.simulation import SimulationResult

JOB: Final = "morning-report"
HOSTS: Final = ("UTC", "Asia/Seoul", "America/New_York")
SPAN: Final = (kst(2026, 5, 10), kst(2026, 5, 13))
ON_TIME: Final = kst(2026, 5, 10, 9, 30)
JUST_IN_TIME: Final = kst(2026, 5, 11, 10, 29, 58)
TOO_LATE: Final = kst(2026, 5, 12, 10, 30, 2)
FROZEN: Final = tuple(
    Freeze("A", start, woken - start)
    for start, woken in (
        (kst(2026, 5, 11, 9, 20), JUST_IN_TIME),
        (kst(2026, 5, 12, 9, 20), TOO_LATE),
    )
)
REPORT: Final = timedelta(minutes=10)


@exercise(
    "0.2",
    title="A report that may be late",
    variable="register_report",
    hints=(
        "0.4 changes the lesson's jobs: one thing is about the zone, one about late runs.",
        "`misfire_grace_time` counts seconds.",
        "`scheduler.add_job(send_report, ..., id=...)`, with a trigger that names its zone.",
    ),
    solution="""
        def register_report(scheduler, send_report):
            trigger = cron(hour=9, minute=30)
            scheduler.add_job(send_report, trigger, id="morning-report", misfire_grace_time=3600)
    """,
    link="https://apscheduler.readthedocs.io/en/3.x/modules/schedulers/base.html",
)
def report_that_may_be_late(register_report: Any) -> Right:
    """Register a daily job whose zone is Korea's on any host, and which may be an hour late."""
    add = require_function(register_report, "register_report", "scheduler", "send_report")
    expected, _ = _mornings(_as_expected, "UTC")
    for host in HOSTS:
        mine, sent = _mornings(add, host)
        drawn = pictures(mine, expected)
        try:
            _require_reports(mine, sent)
        except NotYetError as error:
            raise NotYetError(f"On a host in {host}: {error}", drawn) from error
    return Right(
        "09:30 in Korea on all three hosts. The process that wakes at 10:29:58 sends the report, "
        "and the one that wakes at 10:30:02 does not.",
        drawn[:1],
    )


def _mornings(add: Callable[..., object], host: str) -> tuple[SimulationResult, Counter[datetime]]:
    """Return three mornings on a host, and how often a report began at which moment."""
    sent: Counter[datetime] = Counter()

    async def send_report() -> None:
        sent[datetime.now(KST).replace(microsecond=0)] += 1
        await asyncio.sleep(REPORT.total_seconds())

    def register(scheduler: AsyncIOScheduler) -> object:
        returned = add(scheduler, send_report)
        move_jobs(scheduler, tzlocal.get_localzone_name())
        jobs = [job.id for job in scheduler.get_jobs()]
        if JOB not in jobs:
            raise NotYetError(f'No job has the id "{JOB}". Registered: {listed(jobs)}.')
        return returned

    mornings = simulate(
        register, *SPAN, incidents=FROZEN, scheduler=lesson_scheduler, host_timezone=host
    )
    return mornings, sent


def _require_reports(mornings: SimulationResult, sent: Counter[datetime]) -> None:
    """Refuse a report that is missing, at another time, sent twice, or not waited for."""
    failed = mornings.runs[mornings.runs["status"] == "error"]
    if len(failed):
        raise NotYetError(f"your job raises `{failed['detail'].iloc[0]}`.")
    if TOO_LATE in sent:
        raise NotYetError(
            f"the process is frozen on {_day(TOO_LATE)} until 10:30:02. Your report is sent then, "
            "more than an hour late."
        )
    for at in sorted(sent.keys() - {ON_TIME, JUST_IN_TIME}):
        raise NotYetError(f"a report is sent at {moment(at)} KST.")
    if ON_TIME not in sent:
        raise NotYetError(f"no report is sent on {_day(ON_TIME)}. Does somebody await it?")
    if JUST_IN_TIME not in sent:
        raise NotYetError(
            f"the process is frozen on {_day(JUST_IN_TIME)} until 10:29:58. That is less than an "
            "hour late, and your report is lost."
        )
    if max(sent.values()) > 1:
        raise NotYetError(f"{max(sent.values())} reports are sent at one time.")


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B}"


def _as_expected(scheduler: AsyncIOScheduler, send_report: Callable[..., object]) -> None:
    trigger = cron(hour=9, minute=30, timezone=KST)
    scheduler.add_job(send_report, trigger, id=JOB, misfire_grace_time=3600)
