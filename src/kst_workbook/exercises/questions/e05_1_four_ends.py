"""Exercise 5.1: when everything ends after a SIGTERM."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.deployment import Deployment, stopped_pictures
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    mapping_of,
    require_time,
    shown,
)
from kst_workbook.exercises.questions.draining_app import draining_app
from kst_workbook.scenes.deployment_nights import SIGTERM

if TYPE_CHECKING:
    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler

THREADS: Final = "https://docs.python.org/3/library/asyncio-task.html#task-cancellation"
WORKS: Final = ("crawl", "report", "export", "lifespan")
ASKED_BACK: Final = {
    "crawl": "Does the drain still wait when a run of 20 minutes would be done?",
    "report": "What does a drain do with an `async def` at its deadline?",
    "export": "What can a drain do with a function that runs in a thread?",
    "lifespan": "How long does the drain wait, at most, and is there something to wait for?",
}


def three_jobs(scheduler: KSTScheduler) -> None:
    """Add the jobs of 5.1, which start at 03:00."""
    scheduler.add_job(asyncio.sleep, cron(hour=3), args=[20 * 60], id="crawl")
    scheduler.add_job(asyncio.sleep, cron(hour=3), args=[40 * 60], id="report")
    scheduler.add_job(time.sleep, cron(hour=3), args=[50 * 60], id="export")


@exercise(
    "5.1",
    title="When everything ends after a SIGTERM",
    variable="ends",
    hints=(
        "The drain begins at 03:02. Until when does it wait, at most?",
        "Sections 5.2 and 5.5: an `async def` is cut at the deadline, a thread cannot be.",
        "The lifespan waits for all three, and no longer than its 25 minutes.",
    ),
    solution="""
        ends = {"crawl": "03:20", "report": "03:27", "export": "03:50", "lifespan": "03:27"}
    """,
    link=THREADS,
)
def four_ends(ends: Any) -> Right:
    """Say until when three jobs and the lifespan last."""
    said = _four_times(ends)
    night = Deployment(partial(draining_app, 25 * 60), three_jobs)
    jobs = zip(night.runs["job_id"], night.runs["finished_at"], strict=True)
    true = {job_id: f"{end:%H:%M}" for job_id, end in jobs}
    true["lifespan"] = f"{SIGTERM + (night.closed_after or timedelta()):%H:%M}"
    wrong = [name for name in WORKS if said[name] != true[name]]
    if wrong:
        raise NotYetError(
            f"{len(WORKS) - len(wrong)} of 4 are right. One that is not is `{wrong[0]}`, which you "
            f"say lasts until {said[wrong[0]]}. {ASKED_BACK[wrong[0]]}"
        )
    why = (
        "The crawl ended by itself. At 03:27 the drain cut the report, and left the export, which "
        "no one can cut; it worked on in a service that was closed."
    )
    return Right(why, stopped_pictures(night.runs, night.runs)[:1])


def _four_times(ends: Any) -> dict[str, str]:
    said = mapping_of(ends)
    if said is None:
        raise NotYetError(f"`ends` is {shown(ends)}. Expected a dict.")
    if missing := [name for name in WORKS if name not in said]:
        raise NotYetError(f"`ends` has no time for {', '.join(f'`{name}`' for name in missing)}.")
    return {name: require_time(said[name], f"`{name}`") for name in WORKS}
