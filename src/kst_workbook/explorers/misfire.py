"""What grace time, coalesce and max_instances make of runs that are late or long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kst_scheduler.simulation import simulate
from kst_scheduler.timeline.words import duration
from kst_scheduler.timezone import kst
from kst_workbook.explorers.as_code import freezes_as_code, moment_as_code
from kst_workbook.explorers.explorer import Explorer, Subject, labelled, status_counts
from kst_workbook.explorers.frame import Lane
from kst_workbook.explorers.freezing import freeze_control, freezes, work_in_pieces
from kst_workbook.explorers.timeline import draw_result

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_scheduler.simulation import SimulationResult
    from kst_workbook.explorers.drawing import Drawing

CAPTION: Final = (
    "Misfire explorer: a job every ten minutes on a machine that freezes for a while; "
    "move the controls to see which of its runs are late, missed, coalesced or skipped."
)
START: Final = kst(2026, 5, 11, 8)
END: Final = kst(2026, 5, 11, 11)
FREEZE_AT: Final = kst(2026, 5, 11, 8, 35)
JOB_ID: Final = "every-10-min"
_PIECE: Final = 60
"""Seconds from one piece of work to the next."""

NO_LIMIT: Final = 0
"""Stands for ``misfire_grace_time=None``, which no slider can have."""
_GRACES: Final = (1, 5, 30, 60, 120, 300, 600, 900, 1200, 1800, 2700, 3600)


@dataclass(frozen=True)
class Morning:
    """A morning: grace in seconds (NO_LIMIT: any lateness will do), job and freeze in minutes."""

    grace: int = 900
    coalesce: bool = False
    max_instances: int = 1
    job: int = 4
    freeze: int = 47


def misfire_explorer() -> Explorer:
    """Return an explorer of a morning: grace, coalesce, max_instances, job and freeze length.

    Raises:
        WorkbookError: ipywidgets is not installed.

    """
    first = Morning()
    graces = [(f"{duration(seconds)}", seconds) for seconds in _GRACES]
    return Explorer(
        Subject(Morning, replay, draw, say, write_code, CAPTION),
        {
            "grace": labelled(
                "SelectionSlider",
                "misfire_grace_time",
                options=[*graces, ("no limit", NO_LIMIT)],
                value=first.grace,
            ),
            "coalesce": labelled("Checkbox", "coalesce", value=first.coalesce),
            "max_instances": labelled(
                "IntSlider", "max_instances (runs)", value=first.max_instances, min=1, max=6
            ),
            "job": labelled("IntSlider", "a run takes (min)", value=first.job, min=0, max=30),
            "freeze": freeze_control("A", FREEZE_AT, first.freeze, 120),
        },
    )


def replay(morning: Morning) -> SimulationResult:
    """Simulate the morning on the real scheduler."""

    async def work() -> None:
        await work_in_pieces(morning.job, _PIECE)

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(
            work,
            "cron",
            minute="*/10",
            id=JOB_ID,
            misfire_grace_time=morning.grace or None,
            coalesce=morning.coalesce,
            max_instances=morning.max_instances,
        )

    return simulate(register, START, END, incidents=freezes("A", FREEZE_AT, morning.freeze))


def draw(_morning: Morning, result: SimulationResult) -> Drawing:
    """Draw the timeline of the morning."""
    return draw_result(result, {("A", JOB_ID): Lane(f"A  {JOB_ID}")})


def say(_morning: Morning, result: SimulationResult) -> str:
    """Return how many runs were due, and their outcomes, in one sentence."""
    return status_counts(result.runs)


def write_code(morning: Morning) -> str:
    """Return Python that simulates the same morning and draws it."""
    return f"""\
import asyncio
from datetime import timedelta

from kst_scheduler import Freeze, kst, plot_timeline, simulate


async def work():
    for _ in range({morning.job}):  # a freeze stops the work, too
        await asyncio.sleep({_PIECE})


def register(scheduler):
    scheduler.add_job(
        work,
        "cron",
        minute="*/10",
        id="{JOB_ID}",
        misfire_grace_time={morning.grace or None},
        coalesce={morning.coalesce},
        max_instances={morning.max_instances},
    )


incidents = {freezes_as_code("A", FREEZE_AT, morning.freeze)}
start, end = {moment_as_code(START)}, {moment_as_code(END)}
result = simulate(register, start, end, incidents=incidents)
plot_timeline(result)
"""
