"""Exercise 2.2: 03:00 in Korea on every host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import tzlocal

from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.host_zone import move_jobs
from kst_workbook.exercises.judging import (
    moment,
    pictures,
    require_function,
)
from kst_workbook.exercises.questions.lesson_hosts import Span, listed, on_hosts
from kst_workbook.exercises.serving import CRAWL, JOB, crawl

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_workbook.exercises.exercise import Picture

DAY: Final = (kst(2026, 5, 10), kst(2026, 5, 11))
IN_WINTER: Final = (kst(2026, 11, 10), kst(2026, 11, 12))
"""Two nights, at another offset of New York."""
HOSTS: Final = ("UTC", "Asia/Seoul", "America/New_York")


@exercise(
    "2.2",
    title="03:00 in Korea on every host",
    variable="register",
    hints=(
        "2.2 shows four ways to say three o'clock. Three of them keep to Korean time.",
        "The job itself has to wait for the crawl to end, as `daily_crawl` in 2.1 does.",
        "`scheduler.add_job(crawl_nps, ..., id=...)`, with a trigger that names its zone.",
    ),
    solution="""
        def register(scheduler):
            scheduler.add_job(crawl_nps, cron(hour=3, minute=0), id="daily-nps-crawl")
    """,
    link="https://apscheduler.readthedocs.io/en/3.x/modules/schedulers/base.html",
)
def crawl_at_three_on_every_host(register: Any) -> Right:
    """Register the crawl at 03:00 in Korea, on hosts in three zones and the lesson's scheduler."""
    add = require_function(register, "register", "scheduler")
    jobs: set[str] = set()
    drawn = [_compare_starts(add, span, jobs) for span in (DAY, IN_WINTER)]
    return Right(
        "03:00 in Korea on all three hosts, once a night, in May and in November: the zone of the "
        "host decides nothing.",
        drawn[0][1:],
    )


def _watch(add: Callable[..., Any], scheduler: AsyncIOScheduler, jobs: set[str]) -> object:
    returned = add(scheduler)
    move_jobs(scheduler, tzlocal.get_localzone_name())
    jobs.update(job.id for job in scheduler.get_jobs())
    return returned


def _compare_starts(add: Callable[..., Any], span: Span, jobs: set[str]) -> tuple[Picture, ...]:
    """Refuse what the jobs do on a host, if it is not one whole crawl at 03:00 each night."""
    runs = on_hosts(lambda scheduler: _watch(add, scheduler, jobs), HOSTS, span)
    if not jobs:
        raise NotYetError("`register` gives the scheduler no job.")
    if JOB not in jobs:
        raise NotYetError(f'No job has the id "{JOB}". Registered: {listed(jobs)}.')
    expected = on_hosts(_repaired_job, HOSTS, span)
    nights = sorted(set(expected["scheduled_at"]))
    drawn = pictures(runs, expected, start=span[0], end=span[1], expected=nights)
    for host in HOSTS:
        mine = runs[runs["job_id"] == host]
        _refuse_other_starts(host, mine, nights, drawn)
        for run in mine.itertuples():
            _refuse_no_crawl(run, drawn)
    return drawn


def _refuse_other_starts(
    host: str, runs: pd.DataFrame, nights: list[pd.Timestamp], drawn: tuple[Picture, ...]
) -> None:
    if wrong := sorted(set(runs["scheduled_at"]) - set(nights)):
        more = f", and {len(wrong) - 1:,} times more" if len(wrong) > 1 else ""
        raise NotYetError(
            f"On a host in {host} a job of yours starts at {moment(wrong[0])} KST{more}.", drawn
        )
    for night in nights:
        count = int((runs["scheduled_at"] == night).sum())
        if count == 0:
            raise NotYetError(
                f"On a host in {host} the crawl does not start on {night.day} {night:%B}.", drawn
            )
        if count > 1:
            raise NotYetError(f"At 03:00 in Korea {count} jobs of yours start.", drawn)


def _refuse_no_crawl(run: Any, drawn: tuple[Picture, ...]) -> None:
    if run.status == "error":
        raise NotYetError(f"At 03:00 your job raises `{run.detail}`.", drawn)
    if run.finished_at - run.started_at < CRAWL:
        took = (run.finished_at - run.started_at).total_seconds()
        raise NotYetError(
            f"Your job ends after {took:g} seconds, and a crawl takes 20 minutes. Does somebody "
            "await `crawl_nps()`?",
            drawn,
        )


def _repaired_job(scheduler: AsyncIOScheduler) -> None:
    scheduler.add_job(crawl, cron(hour=3, minute=0, timezone=KST), id=JOB)
