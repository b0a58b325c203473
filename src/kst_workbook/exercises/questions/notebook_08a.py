"""Exercises of notebook 08: what a job store makes of a restart, and of two schedulers."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.simulation import Crash, Node, SimulationResult, simulate
from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.crawl_nights import listed, require_moments
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import mapping_of, moment, pictures, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GUIDE: Final = "https://apscheduler.readthedocs.io/en/3.x/userguide.html"
NEAR: Final = timedelta(seconds=5)
"""By so much a prediction may be wrong: a statement takes its time."""

NIGHT: Final = (kst(2026, 5, 10, 2, 30), kst(2026, 5, 10, 6, 30))
RESTART: Final = Crash("A", kst(2026, 5, 10, 2, 50), timedelta(minutes=90))
PAIR: Final = (Node("A"), Node("B", 10))
DEATH: Final = Crash("B", kst(2026, 5, 10, 4, 45))


async def crawl_nps() -> None:
    """Stand for the crawl, in a module that a job store can import it from."""
    await asyncio.sleep(600)


@exercise(
    "8.1",
    title="A missed run, and two ways to add it",
    variable="starts",
    hints=(
        "Sections 8.1 and 8.2 are about one missed run. Here two are missed, and one is too late.",
        "Added once: at 04:20 the store still says that 03:00 is due. What does `coalesce` do?",
        "Added at each start: `replace_existing=True` writes a next run time in the future.",
    ),
    solution="""
        hours = [kst(2026, 5, 10, 5), kst(2026, 5, 10, 6)]
        starts = {
            "added once": [kst(2026, 5, 10, 4, 20), *hours],
            "added at each start": hours,
        }
    """,
    link=GUIDE,
)
def what_a_restart_makes_up_for(starts: Any) -> Right:
    """Predict the starts of an hourly crawl whose process is down for 90 minutes."""
    ways = {"added once": _added_once, "added at each start": _added_at_each_start}
    mine = _predicted(starts, list(ways))
    seen = {way: _night(add_jobs, 1, [RESTART]) for way, add_jobs in ways.items()}
    for way, night in seen.items():
        _compare(f'"{way}"', mine[way], _starts(night))
    lanes = pd.concat(night.runs.assign(node="", job_id=way) for way, night in seen.items())
    down = seen["added once"].incidents.assign(node="")
    return Right(
        "Added once, the job still has its old next run time at 04:20: of the two runs that are "
        "due one is made up for, as `coalesce` folds them. Added at each start, the job is written "
        "anew, and nobody knows that anything was due.",
        pictures(lanes, lanes, incidents=down, start=NIGHT[0], end=NIGHT[1])[:1],
    )


@exercise(
    "8.2",
    title="Two schedulers on one store, a bit apart",
    variable="starts",
    hints=(
        "Each scheduler starts what is due in the store by its own clock. Which clock is first?",
        "When A looks, the store already says that the job is due in an hour.",
        "B starts ten seconds before each full hour, as long as it lives.",
    ),
    solution="""
        starts = {
            "A": [kst(2026, 5, 10, 5), kst(2026, 5, 10, 6)],
            "B": [kst(2026, 5, 10, 2, 59, 50), kst(2026, 5, 10, 3, 59, 50)],
        }
    """,
    link=GUIDE,
)
def who_starts_a_shared_job(starts: Any) -> Right:
    """Predict which of two replicas on one store starts an hourly crawl, and when."""
    mine = _predicted(starts, [node.name for node in PAIR])
    night = _night(_added_at_each_start, PAIR, [DEATH])
    for node in PAIR:
        _compare(f"On {node.name}", mine[node.name], _starts(night, node.name))
    return Right(
        "B's clock is ten seconds ahead, so B is always first, and A finds nothing due until B is "
        "dead. It looks well: each run is made once. Two clocks that agree make each one twice, so "
        "the better the clocks, the worse it gets.",
        pictures(night, night)[:1],
    )


def _added_at_each_start(scheduler: AsyncIOScheduler) -> None:
    hourly = {"misfire_grace_time": 3600, "replace_existing": True}
    scheduler.add_job(crawl_nps, "cron", minute=0, id="daily-nps-crawl", **hourly)


def _added_once(scheduler: AsyncIOScheduler) -> None:
    if datetime.now(KST) < RESTART.at:
        _added_at_each_start(scheduler)


def _night(
    register: Callable[[AsyncIOScheduler], None],
    nodes: int | Sequence[Node],
    incidents: list[Crash],
) -> SimulationResult:
    """Simulate the night with a job store in a file, in which each statement takes its time."""
    # Only for these exercises: SQLAlchemy is slow to load, and every check loads this module.
    from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore  # noqa: PLC0415

    from kst_workbook.scenes.job_stores import far_away  # noqa: PLC0415

    stores: list[SQLAlchemyJobStore] = []
    with TemporaryDirectory() as folder:

        def scheduler() -> AsyncIOScheduler:
            stores.append(SQLAlchemyJobStore(url=f"sqlite:///{Path(folder) / 'jobs.sqlite3'}"))
            return AsyncIOScheduler(jobstores={"default": far_away(stores[-1])}, timezone=KST)

        try:
            return simulate(register, *NIGHT, nodes=nodes, incidents=incidents, scheduler=scheduler)
        finally:
            for store in stores:
                store.engine.dispose()


def _starts(night: SimulationResult, node: str = "A") -> list[pd.Timestamp]:
    runs = night.runs
    return sorted(runs[runs["node"] == node]["started_at"].dropna())


def _predicted(starts: Any, names: list[str]) -> Mapping[str, list[pd.Timestamp]]:
    said = mapping_of(starts)
    if said is None or set(said) != set(names):
        words = " and ".join(f'`"{name}"`' for name in names)
        raise NotYetError(f"`starts` is {shown(starts)}. Expected a dict with the keys {words}.")
    return {name: require_moments(said[name], f'`starts["{name}"]`') for name in names}


def _compare(place: str, mine: list[pd.Timestamp], theirs: list[pd.Timestamp]) -> None:
    """Raise what is wrong with a prediction, without saying what is right."""
    wrong = [at for at in mine if all(abs(at - start) > NEAR for start in theirs)]
    if wrong:
        seconds = any(abs(at - start) <= 3 * NEAR for at in wrong for start in theirs)
        why = " Check the seconds." if seconds else ""
        raise NotYetError(f"{place}: no crawl starts at {moment(wrong[0])}.{why}")
    if len(mine) < len(theirs):
        raise NotYetError(f"{place}: you say {listed(mine)}. There are more.")
    pairs = zip(mine, theirs, strict=False)
    if len(mine) > len(theirs) or any(abs(at - start) > NEAR for at, start in pairs):
        raise NotYetError(f"{place}: you say {listed(mine)}. Two of these are the same start.")
