from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.table import NODE_DOWN, RunLog
from kst_scheduler.timeline import plot_timeline
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


def test_a_run_that_was_missed_while_the_node_was_down_has_no_grace_window(see: Any) -> None:
    """No grace time would have helped it: nothing was there to start it."""
    log = RunLog()
    log.add("A", "job", microseconds(DAY), "missed", detail=NODE_DOWN)
    ax = plot_timeline(log.table(), grace={"job": timedelta(hours=1)})
    assert "grace time" not in see.legend(ax)
