"""Exercise 8.1: a missed run, and two ways to add it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.simulation import Crash
from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.exercise import Right, exercise
from kst_workbook.exercises.judging import pictures
from kst_workbook.exercises.questions.apscheduler_docs import USER_GUIDE
from kst_workbook.exercises.questions.store_nights import (
    NIGHT,
    added_at_each_start,
    compare,
    predicted,
    starts_on,
    store_night,
)

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler


RESTART: Final = Crash("A", kst(2026, 5, 10, 2, 50), timedelta(minutes=90))


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
    link=USER_GUIDE,
)
def what_a_restart_makes_up_for(starts: Any) -> Right:
    """Predict the starts of an hourly crawl whose process is down for 90 minutes."""
    ways = {"added once": _added_once, "added at each start": added_at_each_start}
    mine = predicted(starts, list(ways))
    seen = {way: store_night(add_jobs, 1, [RESTART]) for way, add_jobs in ways.items()}
    for way, night in seen.items():
        compare(f'"{way}"', mine[way], starts_on(night))
    lanes = pd.concat(night.runs.assign(node="", job_id=way) for way, night in seen.items())
    down = seen["added once"].incidents.assign(node="")
    return Right(
        "Added once, the job still has its old next run time at 04:20: of the two runs that are "
        "due one is made up for, as `coalesce` folds them. Added at each start, the job is written "
        "anew, and nobody knows that anything was due.",
        pictures(lanes, lanes, incidents=down, start=NIGHT[0], end=NIGHT[1])[:1],
    )


def _added_once(scheduler: AsyncIOScheduler) -> None:
    if datetime.now(KST) < RESTART.at:
        added_at_each_start(scheduler)
