from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timezone import kst

DAY = kst(2026, 5, 10)
LONG = timedelta(minutes=90)


def hour(number: int, minutes: int = 0) -> datetime:
    """Return a time of the day."""
    return DAY + timedelta(hours=number, minutes=minutes)


def spans(line: Any) -> list[tuple[float, float, float]]:
    """Return from when, until when and at which height a broken line is drawn."""
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    return [(float(a), float(b), float(h)) for a, b, h in zip(x[::3], x[1::3], y[::3], strict=True)]


def test_the_time_in_which_runs_overlap_is_darkened(table: Any, see: Any) -> None:
    """Runs of 90 minutes every hour overlap for half an hour each, in their own lane only."""
    runs = table()
    for number in range(3):
        runs.run("A", "long", hour(number), lasts=LONG)
    runs.run("A", "other", hour(0), lasts=LONG)
    runs.run("B", "long", hour(0), lasts=LONG)
    ax = plot_timeline(runs.table())
    y = see.lanes(ax)["A  long"]
    expected = [(*see.days(hour(number), hour(number, 30)), y) for number in (1, 2)]
    assert spans(see.line(ax, "runs overlap")) == expected
    assert "runs overlap" in see.legend(ax)
    assert see.title(ax) == "1 occurrence ran twice; 5 ok, 2 overlapping"


def test_a_run_is_held_against_all_that_started_before_it(table: Any, see: Any) -> None:
    """A long run overlaps with the third as well, though the second has long ended."""
    runs = table()
    runs.run("A", "job", hour(0), lasts=timedelta(hours=4))
    for number in (1, 2):
        runs.run("A", "job", hour(number), lasts=timedelta(minutes=30))
    ax = plot_timeline(runs.table())
    y = see.lanes(ax)["A  job"]
    expected = [(*see.days(hour(number), hour(number, 30)), y) for number in (1, 2)]
    assert spans(see.line(ax, "runs overlap")) == expected


def test_two_that_are_still_running_overlap_up_to_the_frame(table: Any, see: Any) -> None:
    """What has no end yet overlaps until the picture ends."""
    runs = table()
    for number in (0, 1):
        runs.run("A", "job", hour(number), "running")
    ax = plot_timeline(runs.table(), start=DAY, end=hour(3))
    ((begin, end, _),) = spans(see.line(ax, "runs overlap"))
    assert [begin, end] == [*see.days(hour(1)), ax.get_xlim()[1]]


def test_runs_one_after_another_do_not_overlap(table: Any, see: Any) -> None:
    """A backlog runs back to back, and what never started takes no time."""
    runs = table()
    for number in range(3):
        runs.run("A", "job", hour(number), lasts=timedelta(hours=1))
    runs.run("A", "job", hour(1, 30), "skipped")
    ax = plot_timeline(runs.table())
    assert "runs overlap" not in see.legend(ax)
    assert see.title(ax) == "1 skipped; 3 ok"
