"""The times at which two or more runs of one job are in progress on one node.

Bars of one lane cover one another, so two concurrent runs would look like a single long one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from kst_scheduler.timeline.marks import broken_line
from kst_scheduler.timeline.style import BLUE, tint

if TYPE_CHECKING:
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from kst_scheduler.timeline.marks import Field
    from kst_scheduler.timeline.scene import Rows

OVERLAP_WORDS: Final = "runs overlap"


class Overlaps(NamedTuple):
    """When runs overlap, in matplotlib's days, and the row of the later run of each overlap."""

    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    row: NDArray[np.intp]


def find_overlaps(rows: Rows) -> Overlaps:
    """Return where a run started before another of its job and node had ended.

    Each run is held against the latest end of those that started before it. What is still running
    has no end, so an overlap with it may have none (infinity).
    """
    ended = rows.ended(np.inf)
    lasting = np.flatnonzero(ended > rows.started)  # False for a NaN
    order = lasting[np.lexsort((rows.started[lasting], rows.job[lasting], rows.node[lasting]))]
    latest = pd.Series(ended[order]).groupby([rows.node[order], rows.job[order]]).cummax()
    same = (np.diff(rows.node[order]) == 0) & (np.diff(rows.job[order]) == 0)
    before, later = latest.to_numpy(np.float64)[:-1][same], order[1:][same]
    begin, end = rows.started[later], np.minimum(ended[later], before)
    found = end > begin
    return Overlaps(begin[found], end[found], later[found])


def draw_overlaps(overlaps: Overlaps, field: Field) -> Line2D | None:
    """Darken the bars where runs overlap by more than a point; return it for the legend."""
    end = np.minimum(overlaps.end, field.page.ax.get_xlim()[1])
    seen = end - overlaps.begin > field.page.day
    if not seen.any():
        return None
    y = field.y[field.lane[overlaps.row[seen]]]
    (line,) = field.page.ax.plot(
        broken_line(overlaps.begin[seen], end[seen]),
        broken_line(y, y),
        color=tint(BLUE, 0.8),
        linewidth=field.largest * 0.9,
        solid_capstyle="butt",
        zorder=2.1,
        label=OVERLAP_WORDS,
    )
    return line
