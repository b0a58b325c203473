"""Exercise 0.1: when the crawl starts."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pytz
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.simulation import Freeze, simulate
from kst_scheduler.timezone import kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    moment,
    png,
    require_moment,
    shown,
    values_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kst_scheduler.simulation import SimulationResult

SPAN: Final = (kst(2026, 5, 18, 18), kst(2026, 5, 20, 18))
FROZEN: Final = Freeze("B", at=kst(2026, 5, 19, 11, 50), duration=timedelta(minutes=15))
JOB: Final = "daily-nps-crawl"
MISSED: Final = (
    "https://apscheduler.readthedocs.io/en/3.x/userguide.html#missed-job-executions-and-coalescing"
)


@exercise(
    "0.1",
    title="When the crawl starts",
    variable="starts",
    hints=(
        "The picture of 0.2 says at which hour in Korea the crawl starts, and on which replicas.",
        "B wakes up five minutes late. Look at the last hourly run that it found late in 0.2.",
        "Two middays lie in the span. On one of them only one replica starts the crawl.",
    ),
    solution="""
        starts = [kst(2026, 5, 19, 12), kst(2026, 5, 20, 12), kst(2026, 5, 20, 12)]
    """,
    link=MISSED,
)
def starts_of_the_crawl(starts: Any) -> Right:
    """Predict each start of the lesson's crawl on two replicas, one of which freezes at noon."""
    mine = _moments(starts)
    days = _two_days()
    theirs = Counter(days.runs.dropna(subset="started_at")["started_at"])
    _refuse_others(mine, theirs)
    for at, expected in sorted(theirs.items()):
        _compare(at, mine[at], expected)
    return Right(
        "Noon in Korea is 03:00 in UTC, and each replica that is awake starts the crawl. B found "
        "its own run five minutes late on Tuesday, and the grace time is one second.",
        (partial(png, partial(_picture, days)),),
    )


def _moments(starts: Any) -> Counter[pd.Timestamp]:
    values = values_of(starts)
    if values is None:
        raise NotYetError(f"`starts` is {shown(starts)}. Expected a list of moments.")
    if not values:
        raise NotYetError("`starts` is empty, so in two days the crawl would not start at all.")
    mine = Counter(require_moment(start, "`starts`") for start in values)
    for start in mine:
        if not SPAN[0] <= start < SPAN[1]:
            raise NotYetError(
                f"`starts` has {moment(start)} KST, and the two days go from {moment(SPAN[0])} to "
                f"{moment(SPAN[1])}."
            )
    return mine


def _refuse_others(mine: Counter[pd.Timestamp], theirs: Counter[pd.Timestamp]) -> None:
    """Refuse moments at which nothing starts."""
    woken = pd.Timestamp(FROZEN.at + FROZEN.duration)
    if woken in mine:
        raise NotYetError(
            f"In your list B starts its crawl on waking up, {moment(woken)} KST, and the run is "
            "five minutes late by then. In 0.2 B woke up, too, and found its last hourly run late."
        )
    for start in sorted(mine.keys() - theirs.keys()):
        utc = start.tz_convert("UTC")
        raise NotYetError(
            f"At {moment(start)} KST, which your list has, no replica starts the crawl. A host's "
            f"clock, which is on UTC, shows {utc:%H:%M} then."
        )


def _compare(at: pd.Timestamp, mine: int, expected: int) -> None:
    """Refuse another number of starts at a moment than happened."""
    when = f"{at:%A}, {at.day} {at:%B}"
    if mine == 0:
        raise NotYetError(f"Your list has no start on {when}, and at least one replica is awake.")
    if mine > expected == 1:
        raise NotYetError(
            f"Your list lets the crawl start {mine} times on {when}. Is each replica awake then?"
        )
    if mine != expected:
        times = "once" if mine == 1 else f"{mine} times"
        raise NotYetError(
            f"Your list lets the crawl start {times} on {when}. How many replicas have this job, "
            "and does one know of the other?"
        )


def _two_days() -> SimulationResult:
    return simulate(
        _register,
        *SPAN,
        nodes=2,
        incidents=[FROZEN],
        scheduler=lambda: AsyncIOScheduler(timezone=pytz.timezone("Asia/Seoul")),
    )


def _register(scheduler: AsyncIOScheduler) -> None:
    """Add the lesson's job, with a trigger that takes the host's zone."""
    crawl = partial(asyncio.sleep, 40 * 60)
    scheduler.add_job(crawl, CronTrigger(hour=3, minute=0), id=JOB)


def _picture(days: SimulationResult) -> Axes:
    from kst_scheduler.timeline import plot_timeline  # noqa: PLC0415 - only when it is shown

    return plot_timeline(days)
