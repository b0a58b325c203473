from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kst_scheduler.runs.table import STATUSES
from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timeline.style import DOWN_MARK, MARKS, OUTCOMES
from kst_scheduler.timezone import kst

DAY = kst(2026, 5, 10)


def test_each_status_has_its_own_shape_and_colour(every_status: Any, see: Any) -> None:
    """Shapes alone tell the statuses apart, so the picture reads in greyscale."""
    ax = plot_timeline(every_status)
    shapes = [see.line(ax, MARKS[status].words).get_marker() for status in STATUSES]
    assert len({*shapes, DOWN_MARK.shape}) == len(OUTCOMES)
    colours = {mark.face for mark in MARKS.values()}
    assert len(colours) == len(STATUSES) - 1  # a running run is as blue as an ok one


def test_bars_last_as_long_as_the_runs_and_a_running_one_reaches_the_frame(
    every_status: Any, see: Any
) -> None:
    """A duration is read off the axis; what is still running has no end."""
    ax = plot_timeline(every_status)
    y = see.lanes(ax)["A  job"]
    bars: list[Any] = [line for line in see.lines(ax) if line.get_linewidth() > 5]
    ends = {
        (round(float(x0), 6), round(float(x1), 6))
        for line in bars
        for x0, x1, height in zip(
            line.get_xdata()[::3], line.get_xdata()[1::3], line.get_ydata()[::3], strict=True
        )
        if height == y
    }
    started, ended = see.days(kst(2026, 5, 10, 2), kst(2026, 5, 10, 2, 30))
    assert (round(started, 6), round(ended, 6)) in ends
    (still,) = see.days(kst(2026, 5, 10, 16))
    assert (round(still, 6), round(ax.get_xlim()[1], 6)) in ends


def test_a_running_run_reaches_the_moment_up_to_which_it_was_seen(table: Any, see: Any) -> None:
    """A picture of the present does not draw a run into the future."""
    runs, due, now = table(), kst(2026, 5, 10, 3), kst(2026, 5, 10, 3, 20)
    runs.run("A", "job", due, "running")
    seen = runs.table().assign(finished_at=now)
    ax = plot_timeline(seen, start=due, end=kst(2026, 5, 10, 4))
    (bar,) = [line for line in see.lines(ax) if line.get_linewidth() > 5]
    assert bar.get_xdata()[:2].tolist() == list(see.days(due, now))


def test_a_late_run_is_led_to_from_its_scheduled_time(every_status: Any, see: Any) -> None:
    """The mark stands where the run started, and a thin line shows how long it waited."""
    ax = plot_timeline(every_status)
    due, start = see.days(kst(2026, 5, 10, 4), kst(2026, 5, 10, 4, 25))
    waits = [np.asarray(line.get_xdata()) for line in see.lines(ax) if line.get_linewidth() == 1]
    assert any(due in x and start in x for x in waits)
    assert see.title(ax).endswith("up to 25 min late")


def test_runs_that_start_together_are_counted(table: Any, struck: Any, see: Any) -> None:
    """A backlog that runs at once is one mark, so the number is written beside it."""
    runs, woke = table(), kst(2026, 5, 10, 4, 0, 20)
    for hour in range(8):
        due = DAY + timedelta(hours=hour)
        runs.run("A", "hourly", due, late=max(woke - due, timedelta(0)))
    ax = plot_timeline(runs.table(), incidents=struck(("A", "freeze", DAY, woke, "")))
    assert "5 runs" in see.texts(ax)
    assert "A frozen 4 h 20 s" in see.texts(ax)
    assert see.title(ax) == "8 ok, 4 overlapping, up to 4 h 20 s late"


def test_full_lanes_become_bands_that_show_where_a_run_is_lacking(month: Any, see: Any) -> None:
    """744 runs in 500 points are no marks; the two days in which B was down are a gap."""
    ax = plot_timeline(month)
    bands = [
        line for line in see.lines(ax) if line.get_label() == "ok" and line.get_linewidth() > 5
    ]
    (band,) = bands
    x, y = np.asarray(band.get_xdata()), np.asarray(band.get_ydata())
    breaks = [
        (a, b) for a, b, h, k in zip(x[1::3], x[3::3], y[1::3], y[3::3], strict=False) if h == k
    ]
    down, up = see.days(kst(2026, 5, 9), kst(2026, 5, 11))
    assert len(breaks) == 1
    assert breaks[0] == pytest.approx((down - 1 / 24, up), abs=0.05)
    assert len(see.line(ax, "missed").get_xdata()) == 48


def test_a_tall_lane_makes_no_tall_marks(table: Any, see: Any) -> None:
    """The legend shows them as tall as they are drawn, and its lines are as tall as a text."""
    runs = table()
    for hour in range(2_000):
        runs.run("A", "hourly", kst(2026, 5, 1) + hour * timedelta(hours=1))
    for day in range(80):
        runs.run("A", "daily", kst(2026, 5, 1, 3) + day * timedelta(days=1))
    figure = Figure((5, 6))
    FigureCanvasAgg(figure)
    ax = plot_timeline(runs.table(), ax=figure.subplots())
    drawn = [line for line in see.lines(ax) if line.get_label() == "ok"]
    legend: Any = ax.get_legend()
    shown = [*drawn, *legend.get_lines()]
    assert max(max(line.get_linewidth(), line.get_markersize()) for line in shown) < 20


@pytest.mark.parametrize("both", [False, True])
def test_a_hundred_thousand_runs_are_a_handful_of_lines(table: Any, both: bool, see: Any) -> None:
    """What is drawn is bound by the picture's size, not by the table's; nothing warns."""
    runs = table()
    for number in range(50_000):
        due = DAY + number * timedelta(seconds=50)
        runs.run("A", f"job-{number % 10}", due, "missed" if number % 97 == 0 else "ok")
        late = timedelta(0) if both else timedelta(seconds=25)
        runs.run("B", f"job-{number % 10}", due + late, "ok")
    ax = plot_timeline(runs.table())
    assert len(see.lines(ax)) < 30
    drawn = sum(np.size(line.get_xdata()) for line in see.lines(ax))
    assert drawn < 60_000
    see.pixels(ax)
