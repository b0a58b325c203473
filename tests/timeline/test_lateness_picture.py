from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timeline import plot_lateness
from kst_scheduler.timezone import kst

DAY = kst(2026, 5, 10)


def test_each_run_stands_at_its_lateness_in_seconds(every_status: Any, see: Any) -> None:
    """What started late stands high; the grace time is a line and has its place on the axis."""
    ax = plot_lateness(every_status)
    assert see.line(ax, "error").get_ydata() == pytest.approx([1500, 1500])
    assert see.line(ax, "ok").get_ydata() == pytest.approx([0, 0])
    assert see.line(ax, "ok").get_xdata() == pytest.approx(
        see.days(kst(2026, 5, 10, 2), kst(2026, 5, 10, 2, 20))
    )
    assert see.lanes(ax)["grace 1 h"] == 3600
    assert 3600 in [line.get_ydata()[0] for line in see.lines(ax)]
    assert see.title(ax) == (
        "6 of 8 runs started within a second, the latest 25 min late on A; 2 missed"
    )


@pytest.mark.parametrize(("late", "words"), [(0, "1 run"), (5, "0 of 1 run")])
def test_one_run_is_not_all_of_several(table: Any, see: Any, late: int, words: str) -> None:
    """A title counts it, and has no word for more."""
    runs = table()
    runs.run("A", "hourly", DAY, late=timedelta(seconds=late))
    title = see.title(plot_lateness(runs.table()))
    assert title.startswith(f"{words} started within a second")


def test_missed_runs_stand_above_all_that_started(every_status: Any, see: Any) -> None:
    """A run that never started has no lateness, but it has to be seen."""
    ax = plot_lateness(every_status)
    heights = see.line(ax, "missed").get_ydata()
    assert set(heights) == {see.lanes(ax)["not started"]}
    assert min(heights) > 3600
    assert max(heights) < ax.get_ylim()[1]


def test_a_clock_that_is_ahead_starts_runs_early(table: Any, see: Any) -> None:
    """Early runs lie below zero, within the frame, and the title names the node."""
    runs = table()
    for hour in range(24):
        for node, late in (("A", 0), ("B", -180), ("C", 42)):
            due = DAY + timedelta(hours=hour)
            runs.run(node, "hourly", due, late=timedelta(seconds=late))
    ax = plot_lateness(runs.table())
    assert ax.get_ylim()[0] < -180
    assert "1 min early" in see.lanes(ax)
    assert see.title(ax) == (
        "24 of 72 runs started within a second, the latest 42 s late on C, "
        "the earliest 3 min early on B"
    )


def test_several_grace_times_name_their_jobs(bad_night: Any, see: Any) -> None:
    """One line for each length, said on the axis where it cannot cover a mark."""
    grace = {"hourly-token": timedelta(minutes=5), "daily-nps-crawl": timedelta(hours=1)}
    ax = plot_lateness(bad_night, grace=grace)
    assert {"grace 5 min, hourly-token", "grace 1 h, daily-nps-crawl"} <= set(see.lanes(ax))


def test_grace_times_that_are_near_share_a_label(table: Any, see: Any) -> None:
    """Seven jobs between 4 and 17 minutes: a line for each, and no label touches another."""
    runs, grace = table(), {}
    for number, seconds in enumerate((250, 280, 300, 320, 360, 900, 1000)):
        grace[f"job-{number}"] = timedelta(seconds=seconds)
        for hour in range(6):
            due = DAY + timedelta(hours=hour, minutes=7 * number)
            runs.run("A", f"job-{number}", due, late=timedelta(seconds=60 * hour * number))
    ax = plot_lateness(runs.table(), grace=grace)
    heights = {line.get_ydata()[0] for line in see.lines(ax) if line.get_label().startswith("_")}
    assert heights == {limit.total_seconds() for limit in grace.values()}
    assert {"grace 4 min 10 s to 6 min, 5 jobs", "grace 15 min to 16 min 40 s, 2 jobs"} <= set(
        see.lanes(ax)
    )
    see.words(ax)
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert min(high.y0 - low.y1 for low, high in pairwise(boxes)) >= 0
    assert min(box.x0 for box in boxes) >= 0


def test_jobs_of_one_grace_time_are_counted(table: Any, see: Any) -> None:
    """It is not that of the first of them alone."""
    runs = table()
    for job in "abc":
        runs.run("A", job, DAY)
    grace = {"a": timedelta(minutes=5), "b": timedelta(minutes=5), "c": timedelta(days=2)}
    assert {"grace 5 min, 2 jobs", "grace 2 d, c"} <= set(
        see.lanes(plot_lateness(runs.table(), grace=grace))
    )


@pytest.mark.parametrize("days", [3, 9, 39, 500])
def test_what_is_weeks_late_is_read_between_two_heights(table: Any, see: Any, days: int) -> None:
    """The highest one is at most some times lower, also on axes that have room for few."""
    runs = table()
    for late in (days, 0):
        runs.run("A", "job", DAY, late=timedelta(days=late))
    for size in ((10, 4), (6, 2)):
        ax = plot_lateness(runs.table(), ax=Figure(figsize=size, dpi=100).subplots())
        highest = max(see.lanes(ax).values())
        assert 86_400 * days / 13 < highest <= 86_400 * days


def test_no_words_leave_the_figure_or_touch(every_status: Any, see: Any) -> None:
    """Labels of the axis keep their distance, whatever the grace times are."""
    for seconds in (1, 9, 55, 61, 3500):
        grace = {"job": timedelta(seconds=seconds)}
        ax = plot_lateness(every_status, grace=grace)
        page = ax.figure.bbox
        for text in see.words(ax):
            box = text.get_window_extent()
            assert page.x0 <= box.x0 < box.x1 <= page.x1, text
        labels = [text.get_window_extent() for text in ax.get_yticklabels()]
        gaps = [high.y0 - low.y1 for low, high in pairwise(labels)]
        assert min(gaps) >= 0


def test_hundreds_of_runs_are_thinned(table: Any, see: Any) -> None:
    """Runs that fall on one dot are drawn once."""
    runs = table()
    for number in range(20_000):
        runs.run("A", "job", DAY + number * timedelta(seconds=10))
    ax = plot_lateness(runs.table())
    assert sum(np.size(line.get_xdata()) for line in see.lines(ax)) < 4_000


def test_an_empty_table_says_so(table: Any, see: Any) -> None:
    """Nothing to draw is no error."""
    ax = plot_lateness(table().table())
    assert see.texts(ax) == ["no runs to draw"]
    assert see.title(ax) == "no runs"


def test_bad_input_is_named(bad_night: Any) -> None:
    """The checks are those of the timeline."""
    with pytest.raises(InvalidArgumentError, match=r"grace\['a'\]=5 is not a timedelta"):
        plot_lateness(bad_night, grace={"a": 5})  # type: ignore[dict-item]
