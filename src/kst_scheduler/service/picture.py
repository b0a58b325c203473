"""The timeline of a ledger's runs as an SVG, in a width that fits a screen or a phone."""

from __future__ import annotations

import threading
import warnings
from io import StringIO
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timeline.kst_axis import BAND
from kst_scheduler.timeline.lanes import MARGIN, label
from kst_scheduler.timeline.page import GAP, left_margin, legend_rows
from kst_scheduler.timeline.runs_picture import LANE, timeline_title
from kst_scheduler.timeline.style import LINE, MARKS, TEXT, FontWarning, drawn_elsewhere

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

WIDE: Final = 720.0
"""Points: 960 pixels of a screen."""
NARROW: Final = 268.0
"""Points: what a phone of 390 pixels has beside its margins."""

_RIGHT: Final = 14.0
_AHEAD: Final = 6.0
"""Points left free after the present: a run that has just begun has its mark there."""
_MAX_HEIGHT: Final = 640.0
_LANE: Final = TEXT * LINE + 1
"""No lane is lower: each has its label."""
_LEGEND_ROW: Final = TEXT * LINE + 6

# What plot_timeline sets while it draws (rc_context) holds for all threads.
_drawing = threading.Lock()


def timeline_svg(
    runs: pd.DataFrame, start: datetime, end: datetime, width: float
) -> tuple[str, str]:
    """Draw a table of runs, one lane a job, wherever it ran; return the title and the SVG.

    It takes a tenth of a second or more, so call it in a thread; drawings wait for each other.
    """
    with _drawing:
        # The SVG's words are drawn with the reader's fonts, which have Hangul; ours need not.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        warnings.filterwarnings("ignore", category=FontWarning)
        with drawn_elsewhere():
            return _drawn(runs.assign(node=""), start, end, width)


def _drawn(runs: pd.DataFrame, start: datetime, end: datetime, width: float) -> tuple[str, str]:
    labels = [label(("", job_id)) for job_id in runs["job_id"].unique()]
    lanes = max(1, len(labels)) + 2 * MARGIN
    height = lanes * max(_LANE, min(LANE, _MAX_HEIGHT / lanes))
    left = left_margin(labels)
    drawn = width - left - _RIGHT
    words = [MARKS[status].words for status in runs["status"].unique()]
    rows = legend_rows(words, width - 2 * GAP)
    below = BAND + rows * _LEGEND_ROW + 2 * GAP
    total = GAP + BAND + height + below
    figure = Figure(figsize=(width / 72, total / 72))
    ax = figure.add_axes((left / width, below / total, drawn / width, height / total))
    end += _AHEAD / drawn * (end - start)
    # The page has the title as its heading.
    plot_timeline(runs, start=start, end=end, title="", ax=ax)
    return timeline_title(runs, start, end), _svg(figure)


def _svg(figure: Figure) -> str:
    drawn = StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "timeline"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()
