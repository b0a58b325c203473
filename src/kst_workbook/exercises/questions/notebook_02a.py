"""Exercises of notebook 02: the zone of the host."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pytz
import tzlocal
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.host_zone import move_jobs
from kst_workbook.exercises.judging import (
    mapping_of,
    moment,
    pictures,
    require_function,
    require_moment,
    shown,
)
from kst_workbook.exercises.serving import CRAWL, JOB, crawl

if TYPE_CHECKING:
    from collections.abc import Callable

    from kst_workbook.exercises.exercise import Picture

DAY: Final = (kst(2026, 5, 10), kst(2026, 5, 11))
IN_WINTER: Final = (kst(2026, 11, 10), kst(2026, 11, 12))
"""Two nights, at another offset of New York."""
Span = tuple[datetime, datetime]
FAR: Final = ("Asia/Kolkata", "America/Los_Angeles", "Asia/Yakutsk")
HOSTS: Final = ("UTC", "Asia/Seoul", "America/New_York")


@exercise(
    "2.1",
    title="03:00 on three other hosts",
    variable="starts",
    hints=(
        "The bare trigger waits for 03:00 on the host's own clock. When is that in Korea?",
        'Python knows: `pd.Timestamp("2026-05-10 03:00", tz="Asia/Kolkata").tz_convert(KST)`.',
        "03:00 in California is 16 hours later in Korea. On which day is it then 10 May there?",
    ),
    solution="""
        starts = {
            "Asia/Kolkata": kst(2026, 5, 10, 6, 30),
            "America/Los_Angeles": kst(2026, 5, 10, 19),
            "Asia/Yakutsk": kst(2026, 5, 10, 3),
        }
    """,
    link="https://apscheduler.readthedocs.io/en/3.x/modules/triggers/cron.html",
)
def starts_on_other_hosts(starts: Any) -> Right:
    """Predict when the lesson's crawl starts on 10 May, on hosts in three zones."""
    said = mapping_of(starts)
    if said is None:
        raise NotYetError(f"`starts` is {shown(starts)}. Expected a dict by host.")
    for host in FAR:
        if host not in said:
            raise NotYetError(f'`starts` has no "{host}". It has {_listed(said)}.')
    if other := [host for host in said if host not in FAR]:
        raise NotYetError(f"`starts` has {shown(other[0])}, which is not one of the hosts.")
    runs = _on_hosts(_lesson_job, FAR, DAY)
    theirs = runs.set_index("job_id")["started_at"]
    for host in FAR:
        mine = require_moment(said[host], f"`starts[{host!r}]`")
        if not DAY[0] <= mine < DAY[1]:
            raise NotYetError(f"`starts[{host!r}]` is {moment(mine)} KST, which is not on 10 May.")
        if mine != theirs[host]:
            there = mine.tz_convert(host)
            raise NotYetError(
                f"When it is {moment(mine)} KST, a clock in {host} shows {there:%H:%M}."
            )
    drawn = pictures(runs, runs, start=DAY[0], end=DAY[1], expected=kst(2026, 5, 10, 3))
    return Right(
        "Wherever the host stands, its clock shows 03:00 then. In Yakutsk that is 03:00 in Korea "
        "as well, so a test that runs there finds no fault.",
        drawn[1:],
    )


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
    runs = _on_hosts(lambda scheduler: _watch(add, scheduler, jobs), HOSTS, span)
    if not jobs:
        raise NotYetError("`register` gives the scheduler no job.")
    if JOB not in jobs:
        raise NotYetError(f'No job has the id "{JOB}". Registered: {_listed(jobs)}.')
    expected = _on_hosts(_repaired_job, HOSTS, span)
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


def _on_hosts(
    register: Callable[[AsyncIOScheduler], object], hosts: tuple[str, ...], span: Span
) -> pd.DataFrame:
    """Return the crawls on a host in each zone, which take the zone's name for the job's."""
    tables = []
    for host in hosts:
        runs = simulate(register, *span, scheduler=_lesson_scheduler, host_timezone=host).runs
        crawls = (runs["job_id"] == JOB) | (runs["finished_at"] - runs["started_at"] >= CRAWL)
        tables.append(runs[crawls].assign(node="", job_id=host))
    return pd.concat(tables)


def _lesson_scheduler() -> AsyncIOScheduler:
    return AsyncIOScheduler(timezone=pytz.timezone("Asia/Seoul"))


def _lesson_job(scheduler: AsyncIOScheduler) -> None:
    scheduler.add_job(crawl, CronTrigger(hour=3, minute=0), id=JOB)


def _repaired_job(scheduler: AsyncIOScheduler) -> None:
    scheduler.add_job(crawl, cron(hour=3, minute=0, timezone=KST), id=JOB)


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
