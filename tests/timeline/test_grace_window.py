from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.table import NODE_DOWN, RunLog
from kst_scheduler.timeline import plot_lateness, plot_timeline
from kst_scheduler.timezone import kst

DAY = kst(2026, 5, 10)


def test_the_grace_window_of_a_missed_run_is_drawn(every_status: Any, see: Any) -> None:
    """It spans from the scheduled time to the last moment at which the run could have started."""
    ax = plot_timeline(every_status)
    x = np.asarray(see.line(ax, "grace time").get_xdata())
    assert x[:2] == pytest.approx(see.days(kst(2026, 5, 10, 6), kst(2026, 5, 10, 7)))
    assert "grace time" in see.legend(ax)


@pytest.mark.parametrize("grace", [{}, {"job": None}, {"another": timedelta(hours=1)}])
def test_a_grace_time_that_is_not_known_or_endless_is_not_drawn(
    every_status: Any, grace: Any, see: Any
) -> None:
    """Nothing is drawn that is not known."""
    assert "grace time" not in see.legend(plot_timeline(every_status, grace=grace))


def test_a_run_that_was_due_while_the_node_was_down_is_not_late(see: Any) -> None:
    """It has its own mark and words, in title and legend, and no grace time: none would help."""
    log = RunLog()
    log.add("A", "job", microseconds(DAY), "missed", detail=NODE_DOWN)
    log.add("A", "job", microseconds(kst(2026, 5, 10, 1)), "missed", detail="1:00:00 late")
    runs = log.table()
    ax = plot_timeline(runs[:1], grace={"job": timedelta(hours=1)})
    assert see.title(ax) == "1 due while down; none ok"
    assert see.legend(ax) == ["due while down"]
    both = plot_timeline(runs, grace={"job": timedelta(hours=1)})
    assert see.title(both) == "1 missed, 1 due while down; none ok"
    assert see.legend(both) == ["missed", "due while down", "grace time"]
    late = plot_lateness(runs)
    assert see.title(late) == "no run started, 1 missed, 1 due while down"
    assert see.legend(late) == ["missed", "due while down"]
