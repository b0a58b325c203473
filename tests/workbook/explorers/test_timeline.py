from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from kst_scheduler import Crash, Freeze, kst, plot_timeline, simulate
from kst_scheduler.timeline.style import MARKS
from kst_workbook.explorers.drawing import Box, Drawing, Lines, Spot, Words
from kst_workbook.explorers.frame import Lane
from kst_workbook.explorers.timeline import draw_result, draw_table

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_scheduler.simulation import SimulationResult

START, END = kst(2026, 5, 10, 2), kst(2026, 5, 10, 6)


def hourly(
    minutes: int = 20, nodes: int = 1, incidents: Any = (), **options: Any
) -> SimulationResult:
    """Simulate an hourly job that works for some minutes."""

    async def work() -> None:
        await asyncio.sleep(60 * minutes)

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(work, "cron", minute=0, id="crawl", **options)

    return simulate(register, START, END, nodes, incidents)


def drawn(result: SimulationResult, nodes: str = "A") -> Drawing:
    """Draw it with a lane a node."""
    return draw_result(result, {(node, "crawl"): Lane(f"{node}  crawl") for node in nodes})


def shapes(drawing: Drawing, kind: Any) -> list[Any]:
    """Return the shapes of a kind."""
    return [shape for shape in drawing.shapes if isinstance(shape, kind)]


def test_each_run_has_the_mark_of_its_status_and_says_when_and_why() -> None:
    """Where the mouse rests on it, it tells what the table has, in words."""
    frozen = [Freeze("A", kst(2026, 5, 10, 2, 30), timedelta(hours=1))]
    result = hourly(incidents=frozen, misfire_grace_time=60)
    spots = [spot for spot in shapes(drawn(result), Spot) if spot.hover]
    assert sorted(spot.mark.words for spot in spots) == ["missed", "ok", "ok", "ok"]
    missed = next(spot for spot in spots if spot.mark is MARKS["missed"])
    assert missed.hover.split("\n") == [
        "crawl on A",
        "missed: 0:30:00 late, grace time 60 s",
        "scheduled 10 May 03:00",
        "never started",
    ]
    assert spots[0].hover.split("\n") == [
        "crawl on A",
        "ok",
        "scheduled 10 May 02:00",
        "started 10 May 02:00",
        "ended 10 May 02:20, after 20 min",
    ]


def test_the_title_and_the_moments_are_those_of_plot_timeline() -> None:
    """Both pictures of a simulation say the same."""
    result = hourly(incidents=[Freeze("A", kst(2026, 5, 10, 2, 30), timedelta(hours=1))])
    drawing, ax = drawn(result), plot_timeline(result)
    assert drawing.title == ax.get_title(loc="left")


def test_a_run_that_is_late_or_still_running_says_so() -> None:
    """The bar of the latter reaches the end of the axis."""
    result = hourly(
        minutes=150,
        max_instances=3,
        misfire_grace_time=None,
        incidents=[Freeze("A", kst(2026, 5, 10, 2, 30), timedelta(minutes=45))],
    )
    words = [spot.hover for spot in shapes(drawn(result), Spot) if spot.hover]
    assert any("started 10 May 03:15, 15 min late" in hover for hover in words)
    assert any("no end is known" in hover for hover in words)
    bars = [box for box in shapes(drawn(result), Box) if "crawl" in box.hover]
    assert max(box.x + box.width for box in bars) == pytest.approx(628)


def test_an_incident_is_shaded_over_its_own_lanes_and_named() -> None:
    """The other node is not frozen."""
    result = hourly(nodes=2, incidents=[Freeze("B", kst(2026, 5, 10, 3, 30), timedelta(hours=1))])
    drawing = drawn(result, "AB")
    shade = next(box for box in shapes(drawing, Box) if box.hover.startswith("B frozen 1 h\n"))
    marks = {spot.hover.split("\n")[0][-1]: spot.y for spot in shapes(drawing, Spot) if spot.hover}
    assert not shade.y < marks["A"] < shade.y + shade.height
    assert shade.y < marks["B"] < shade.y + shade.height
    assert "B frozen 1 h" in [words.text for words in shapes(drawing, Words)]


def test_a_crash_without_a_restart_is_shaded_to_the_end() -> None:
    """Its end is not known."""
    drawing = drawn(hourly(incidents=[Crash("A", kst(2026, 5, 10, 3, 30))]))
    shade = next(box for box in shapes(drawing, Box) if "down from" in box.hover)
    assert shade.x + shade.width == pytest.approx(628)


def test_the_runs_of_one_occurrence_are_joined() -> None:
    """Two nodes without a lock run each twice; one alone has no arc."""
    strokes = [line for line in shapes(drawn(hourly(nodes=2), "AB"), Lines) if line.width == 1.3]
    assert len(strokes[0].strokes) == 4
    assert not [line for line in shapes(drawn(hourly()), Lines) if line.width == 1.3]


def test_a_run_that_was_locked_out_is_no_duplicate() -> None:
    """It did none of the work of its occurrence."""
    runs = hourly(nodes=2).runs
    status = runs["status"].where(runs["node"] == "A", "locked_out")
    lanes = {(node, "crawl"): Lane(node) for node in "AB"}
    drawing = draw_table(runs.assign(status=status), lanes, START, END)
    assert not [line for line in shapes(drawing, Lines) if line.width == 1.3]


def test_only_what_was_late_has_a_grace_time() -> None:
    """No grace time would have helped a run that was due while its node was down."""
    crash = Crash("A", kst(2026, 5, 10, 2, 30), timedelta(hours=1))
    down = drawn(hourly(incidents=[crash], misfire_grace_time=60))
    freeze = Freeze("A", kst(2026, 5, 10, 2, 30), timedelta(hours=1))
    late = drawn(hourly(incidents=[freeze], misfire_grace_time=60))
    graces = [
        [line for line in shapes(drawing, Lines) if line.width == 1.6] for drawing in (down, late)
    ]
    assert [bool(found) for found in graces] == [False, True]


def test_runs_on_one_spot_are_one_mark_that_counts_them() -> None:
    """A live timeline of a job that runs all the time stays small."""
    moments = pd.date_range(START, periods=5000, freq="10ms").as_unit("us")
    runs = hourly().runs.iloc[:1]
    runs = pd.concat(
        [runs.assign(scheduled_at=m, started_at=m, finished_at=m) for m in moments[:300]]
    )
    drawing = draw_table(runs, {("A", "crawl"): Lane("A")}, START, START + timedelta(minutes=10))
    spots = [spot for spot in shapes(drawing, Spot) if spot.hover]
    assert len(spots) < 10
    counted = [spot.hover.rsplit("\n", 1)[-1] for spot in spots]
    assert sum(int(words.split()[0]) for words in counted) == 300


def test_a_row_of_another_job_is_left_out() -> None:
    """A lane is not made for what nobody asked for."""
    runs = hourly().runs.assign(job_id="other")
    drawing = draw_table(runs, {("A", "crawl"): Lane("A")}, START, END)
    assert not [spot for spot in shapes(drawing, Spot) if spot.hover]
