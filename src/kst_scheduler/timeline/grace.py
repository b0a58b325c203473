"""The grace window of a missed run: until when it was allowed to start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kst_scheduler.runs.table import STATUSES
from kst_scheduler.timeline.marks import broken_line
from kst_scheduler.timeline.style import VERMILLION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from matplotlib.lines import Line2D

    from kst_scheduler.timeline.marks import Field
    from kst_scheduler.timeline.scene import Rows

GRACE_WORDS: Final = "grace time"
_DAY: Final = 86_400


def draw_grace(
    rows: Rows, jobs: list[str], grace: Mapping[str, timedelta | None], field: Field
) -> Line2D | None:
    """Draw a thin span under each missed run, from its scheduled time as long as its grace time.

    A job whose grace time is not known, or has no limit, gets none; nor does a run that was missed
    because its node was down.
    """
    limits = [grace.get(job) for job in jobs]
    days = np.array([np.nan if g is None else g.total_seconds() / _DAY for g in limits])
    missed = np.flatnonzero(rows.outcome == STATUSES.index("missed"))
    missed = missed[~np.isnan(days[rows.job[missed]])] if len(missed) else missed
    if not len(missed):
        return None
    due = rows.scheduled[missed]
    last, y = due + days[rows.job[missed]], field.y[field.lane[missed]] + 0.32
    cap = 2.5 / field.lane_points
    (line,) = field.page.ax.plot(
        broken_line(due, last, last, last),
        broken_line(y, y, y - cap, y + cap),
        color=VERMILLION,
        linewidth=1.6,
        solid_capstyle="butt",
        zorder=2.4,
        label=GRACE_WORDS,
    )
    return line
