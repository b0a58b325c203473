"""Exercise 3.3: replicas that agree on 90 minutes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pytz
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.simulation import Crash, simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import every
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.host_zone import ELSEWHERE, move_jobs
from kst_workbook.exercises.judging import moment, pictures, require_function
from kst_workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from collections.abc import Callable

    from kst_scheduler.simulation import SimulationResult

JOB: Final = "renew-token"
SPAN: Final = (kst(2026, 5, 10, 0, 7), kst(2026, 5, 10, 12, 7))
CRAWL: Final = timedelta(minutes=20)
DOWN: Final = timedelta(minutes=5)
RESTARTS: Final = (
    Crash("B", kst(2026, 5, 10, 2, 20), DOWN),
    Crash("A", kst(2026, 5, 10, 7, 15), DOWN),
)


@exercise(
    "3.3",
    title="Replicas that agree on 90 minutes",
    variable="register_renewal",
    hints=(
        "From when does each process count? 3.2 shows both kinds of interval after restarts.",
        "Cron's fields cannot say it in one go: no list of minutes fits each hour.",
        "90 minutes go 16 times into a day, so counting from any Korean midnight will do.",
    ),
    solution="""
        def register_renewal(scheduler):
            scheduler.add_job(crawl_nps, every(minutes=90), id="renew-token")
    """,
    link="https://apscheduler.readthedocs.io/en/3.x/modules/triggers/interval.html",
)
def replicas_agree(register_renewal: Any) -> Right:
    """Register a job for every 90 minutes from midnight on, the same on all replicas."""
    add = require_function(register_renewal, "register_renewal", "scheduler")
    with each_replica_for_itself(add):
        mine = simulate(
            lambda scheduler: _register(add, scheduler),
            *SPAN,
            2,
            RESTARTS,
            _lesson_scheduler,
            host_timezone=ELSEWHERE,
        )
    expected = simulate(_every_90_minutes, *SPAN, 2, RESTARTS, _lesson_scheduler)
    drawn = pictures(mine, expected)
    runs = mine.runs[mine.runs["job_id"] == JOB]
    if runs.empty:
        ids = ", ".join(f"`{name}`" for name in sorted(set(mine.runs["job_id"]))) or "none at all"
        raise NotYetError(f'In twelve hours no job "{JOB}" is due; due are {ids}.', drawn)
    fires = {node: set(runs.loc[runs["node"] == node, "scheduled_at"]) for node in ("A", "B")}
    if different := sorted(fires["A"] ^ fires["B"]):
        first = different[0]
        one, other = ("A", "B") if first in fires["A"] else ("B", "A")
        raise NotYetError(
            f"Replica {one} has a run at {moment(first)} KST, and {other} has none then. So "
            "nobody can tell which of their runs are the same.",
            drawn,
        )
    _compare(fires["A"], expected, drawn)
    _refuse_no_crawl(runs, drawn)
    return Right(
        "Both replicas have the same eight runs, before and after the restarts: they count from "
        "one fixed midnight, and not from their own start.",
        drawn[:1],
    )


def _register(add: Callable[..., object], scheduler: AsyncIOScheduler) -> object:
    returned = add(scheduler)
    move_jobs(scheduler)
    return returned


def _compare(fires: set[pd.Timestamp], expected: SimulationResult, drawn: Any) -> None:
    """Refuse other times, which the replicas agree on."""
    wanted = set(expected.runs["scheduled_at"])
    if extra := sorted(fires - wanted):
        since = extra[0] - pd.Timestamp(kst(2026, 5, 10))
        raise NotYetError(
            f"Both replicas have a run at {moment(extra[0])} KST, which is "
            f"{since // timedelta(minutes=1)} minutes after midnight.",
            drawn,
        )
    if missing := sorted(wanted - fires):
        raise NotYetError(f"Neither replica has a run at {moment(missing[0])} KST.", drawn)


def _refuse_no_crawl(runs: pd.DataFrame, drawn: Any) -> None:
    """Refuse runs that ended by themselves, and too early for the notebook's crawl."""
    failed = runs[runs["status"] == "error"]
    if len(failed):
        raise NotYetError(f"Your job raises `{failed['detail'].iloc[0]}`.", drawn)
    took = runs.loc[runs["status"] == "ok", "finished_at"] - runs["started_at"]
    if took.min() < CRAWL:
        raise NotYetError(
            f"A run of yours ends after {took.min().total_seconds():g} seconds. `crawl_nps()` "
            "takes 20 minutes: is it the job, and does somebody await it?",
            drawn,
        )


def _lesson_scheduler() -> AsyncIOScheduler:
    return AsyncIOScheduler(timezone=pytz.timezone("Asia/Seoul"))


def _every_90_minutes(scheduler: AsyncIOScheduler) -> None:
    scheduler.add_job(
        partial(asyncio.sleep, CRAWL.total_seconds()), every(minutes=90, timezone=KST), id=JOB
    )
