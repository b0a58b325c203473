from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pytest

from kst_scheduler import Crash, Freeze, kst, plot_timeline, simulate
from kst_scheduler.timeline.hover import areas_of
from kst_scheduler.timeline.style import DOWN_MARK
from kst_workbook.explorers.run_words import describe_run, mark_of

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_scheduler.simulation import SimulationResult

START, END = kst(2026, 5, 10, 2), kst(2026, 5, 10, 8)


def hourly(minutes: int, *incidents: Any) -> SimulationResult:
    """Simulate an hourly job that works for some minutes and a quarter of a second."""

    async def work() -> None:
        await asyncio.sleep(60 * minutes + 0.25)

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(work, "cron", minute=0, id="crawl", misfire_grace_time=1200)

    return simulate(register, START, END, incidents=incidents)


@pytest.mark.parametrize(
    "result",
    [
        hourly(20, Freeze("A", kst(2026, 5, 10, 2, 30), timedelta(minutes=45))),
        hourly(90, Freeze("A", kst(2026, 5, 10, 2, 30), timedelta(hours=2))),
        hourly(20, Crash("A", kst(2026, 5, 10, 3, 10), timedelta(hours=2))),
    ],
    ids=["late", "missed, skipped and running", "down"],
)
def test_a_run_tells_what_it_tells_in_a_timeline_of_the_library(result: SimulationResult) -> None:
    """The words of an explorer and of ``plot_timeline`` are the same, row by row."""
    theirs = {area.words for area in areas_of(plot_timeline(result))}
    plt.close("all")
    ours = {describe_run(row) for row in result.runs.itertuples(index=False)}
    assert len(ours) == len(result.runs)
    assert ours <= theirs


def test_what_was_due_while_its_node_was_down_has_a_mark_of_its_own() -> None:
    """It was not late: no process knew it."""
    result = hourly(20, Crash("A", kst(2026, 5, 10, 3, 10), timedelta(hours=2)))
    marks = [mark_of(row) for row in result.runs.itertuples(index=False)]
    assert marks.count(DOWN_MARK) == 2
