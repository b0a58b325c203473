"""Nights of a job store, with and without the job in it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.simulation import Crash, Node, SimulationResult, simulate
from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.crawl_nights import listed, require_moments
from kst_workbook.exercises.exercise import NotYetError
from kst_workbook.exercises.judging import mapping_of, moment, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

NEAR: Final = timedelta(seconds=5)
"""By so much a prediction may be wrong: a statement takes its time."""
NIGHT: Final = (kst(2026, 5, 10, 2, 30), kst(2026, 5, 10, 6, 30))


async def crawl_nps() -> None:
    """Stand for the crawl, in a module that a job store can import it from."""
    await asyncio.sleep(600)


def added_at_each_start(scheduler: AsyncIOScheduler) -> None:
    """Add the hourly crawl as code does at each start."""
    hourly = {"misfire_grace_time": 3600, "replace_existing": True}
    scheduler.add_job(crawl_nps, "cron", minute=0, id="daily-nps-crawl", **hourly)


def store_night(
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


def starts_on(night: SimulationResult, node: str = "A") -> list[pd.Timestamp]:
    """Return when the crawl started on a node."""
    runs = night.runs
    return sorted(runs[runs["node"] == node]["started_at"].dropna())


def predicted(starts: Any, names: list[str]) -> Mapping[str, list[pd.Timestamp]]:
    """Return the predictions of an answer, or raise what they are instead."""
    said = mapping_of(starts)
    if said is None or set(said) != set(names):
        words = " and ".join(f'`"{name}"`' for name in names)
        raise NotYetError(f"`starts` is {shown(starts)}. Expected a dict with the keys {words}.")
    return {name: require_moments(said[name], f'`starts["{name}"]`') for name in names}


def compare(place: str, mine: list[pd.Timestamp], theirs: list[pd.Timestamp]) -> None:
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
