"""Exercise 6.1: what modify does to three triggers."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    mapping_of,
    pictures,
    require_time,
    shown,
    values_of,
)
from kst_workbook.exercises.questions.button_presses import (
    DAY,
    simulated,
    times_due,
    without_button,
)

MODIFY: Final = (
    "https://apscheduler.readthedocs.io/en/3.x/modules/job.html#apscheduler.job.Job.modify"
)
SHOWN: Final = {"start": kst(2026, 5, 11, 13, 50), "end": DAY[1]}
JOBS: Final = ("report", "token", "crawl")
ASKED_BACK: Final = {
    "report": "It has one run time. What does `modify` do with it, and what is left then?",
    "token": "From which moment on does an interval count?",
    "crawl": "What does a cron trigger go by: its last run, or the clock?",
}


@exercise(
    "6.1",
    title="What modify does to three triggers",
    variable="runs",
    hints=(
        "Sections 6.2 and 6.4 show two of the three.",
        "`modify` moves the next run time. What comes after it is asked from the trigger.",
        "An interval counts 90 minutes from the run at 14:20. A cron goes by the clock alone.",
    ),
    solution="""
        runs = {
            "report": ["14:20"],
            "token": ["14:20", "15:50", "17:20"],
            "crawl": ["14:00", "14:20", "15:00", "16:00", "17:00"],
        }
    """,
    link=MODIFY,
)
def runs_after_modify(runs: Any) -> Right:
    """Say when three jobs run that the lesson's button has pressed."""
    said = _three_lists(runs)
    day = simulated(_three_jobs, _modify, partial(AsyncIOScheduler, timezone=KST))
    true = {job_id: [f"{at:%H:%M}" for at in times_due(day.runs, job_id)] for job_id in JOBS}
    wrong = [job_id for job_id in JOBS if said[job_id] != true[job_id]]
    if wrong:
        times = ", ".join(said[wrong[0]]) or "never"
        raise NotYetError(
            f"{len(JOBS) - len(wrong)} of 3 are right. One that is not is `{wrong[0]}`; you say "
            f"{times}. {ASKED_BACK[wrong[0]]}"
        )
    why = (
        "The report is made at 14:20 and never again, the token has another phase for good, and "
        "the crawl has one run more."
    )
    shots = pictures(without_button(day), without_button(day), **SHOWN)
    return Right(why, shots[:1])


def _three_lists(runs: Any) -> dict[str, list[str]]:
    said = mapping_of(runs)
    if said is None:
        raise NotYetError(f"`runs` is {shown(runs)}. Expected a dict.")
    if missing := [job_id for job_id in JOBS if job_id not in said]:
        raise NotYetError(f"`runs` has no times for {', '.join(f'`{name}`' for name in missing)}.")
    return {job_id: _times_of(said[job_id], f"`{job_id}`") for job_id in JOBS}


def _times_of(answer: Any, place: str) -> list[str]:
    values = values_of(answer)
    if values is None:
        raise NotYetError(f"{place} is {shown(answer)}. Expected a list of times.")
    return sorted(require_time(each, place) for each in values)


def _three_jobs(scheduler: AsyncIOScheduler) -> None:
    start = kst(2026, 5, 11, 13, 30)
    scheduler.add_job(asyncio.sleep, "date", run_date=kst(2026, 5, 11, 15), args=[300], id="report")
    scheduler.add_job(
        asyncio.sleep, "interval", minutes=90, start_date=start, args=[300], id="token"
    )
    scheduler.add_job(asyncio.sleep, "cron", hour="14-17", args=[300], id="crawl")


async def _modify(scheduler: AsyncIOScheduler) -> None:
    for job_id in JOBS:
        scheduler.get_job(job_id).modify(next_run_time=datetime.now(KST))
