"""A scheduler with a button, and what pressing it does to the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kst_scheduler.simulation import SimulationResult, simulate
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pandas as pd
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

DAY: Final = kst(2026, 5, 11, 13), kst(2026, 5, 11, 18)
BUTTON: Final = "button"
BUTTON_LATER: Final = "button at 16:30"


def simulated(
    add_jobs: Callable[..., object],
    press: Callable[..., object],
    make_scheduler: Callable[[], AsyncIOScheduler],
) -> SimulationResult:
    """Simulate an afternoon in which the button is pressed at 14:20."""

    def register(scheduler: AsyncIOScheduler) -> None:
        add_jobs(scheduler)
        scheduler.add_job(press, "cron", hour=14, minute=20, args=[scheduler], id=BUTTON)

    return simulate(register, *DAY, scheduler=make_scheduler)


def times_due(runs: pd.DataFrame, job_id: str) -> list[datetime]:
    """Return the times of a job from 14:00 on."""
    found = runs[(runs["job_id"] == job_id) & (runs["scheduled_at"] >= kst(2026, 5, 11, 14))]
    return list(found["scheduled_at"])


def without_button(day: SimulationResult) -> pd.DataFrame:
    """Return the runs of all but the button."""
    return day.runs[~day.runs["job_id"].isin([BUTTON, BUTTON_LATER])]
