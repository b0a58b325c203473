"""The pictures of explorers: the workbook's own, on figures of one width that pyplot never sees.

A picture of one explorer keeps its size whatever the controls say, so that the page does not jump.
"""

from __future__ import annotations

import textwrap
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kst_scheduler.timeline import plot_fire_times, plot_timeline
from kst_scheduler.timeline.kst_axis import BAND
from kst_scheduler.timeline.lanes import MARGIN, STRIP
from kst_scheduler.timeline.page import GAP, left_margin
from kst_scheduler.timeline.runs_picture import LANE
from kst_scheduler.timeline.style import INK, LINE, TEXT, TITLE, house_style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pandas as pd
    from apscheduler.triggers.base import BaseTrigger
    from matplotlib.axes import Axes

WIDTH: Final = 648.0
"""Points: 900 pixels at 100 dots an inch."""
_DPI: Final = 100
_RIGHT: Final = 20.0
_TITLE_ROWS: Final = 2
_LEGEND_ROWS: Final = 2
_LETTERS: Final = 80
"""In a line of a message, which breaks words that are longer."""
_DAY_ROW: Final = 27.0
_ABOVE: Final = GAP + _TITLE_ROWS * TITLE * LINE + GAP + BAND
_BELOW: Final = BAND + GAP + _LEGEND_ROWS * (TEXT * LINE + 4) + GAP


def timeline(result_or_runs: Any, labels: Sequence[str], **options: Any) -> Figure:
    """Draw ``plot_timeline``, with room for a lane and an incident each; ``options`` are its own.

    ``labels`` are those of the lanes.
    """
    height = len(labels) * LANE + 2 * MARGIN * LANE + STRIP
    ax = _axes(height, left_margin(labels))
    plot_timeline(result_or_runs, ax=ax, **options)
    return _figure_of(ax)


def week(
    triggers: Mapping[str, BaseTrigger | pd.DatetimeIndex], start: datetime, end: datetime
) -> Figure:
    """Draw ``plot_fire_times`` of up to seven days."""
    ax = _axes(7 * _DAY_ROW, left_margin(["Wed 30 Sep"]))
    plot_fire_times(triggers, start, end, ax=ax)
    return _figure_of(ax)


def message(words: str, like: Figure | None = None) -> Figure:
    """Write a message where a picture cannot be drawn, as tall as the picture before it."""
    figure = _figure(WIDTH / 3 if like is None else like.get_figheight() * 72)
    lines = textwrap.fill(words, _LETTERS)
    with house_style():
        figure.text(0.5, 0.5, lines, ha="center", va="center", size=TITLE, color=INK)
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG; packed fast, as most of them are looked at once."""
    data, canvas = BytesIO(), FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # A message repeats what was typed, and the machine may have no font for it.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        canvas.print_png(data, pil_kwargs={"compress_level": 1})  # type: ignore[no-untyped-call]
    return data.getvalue()


def _axes(height: float, left: float) -> Axes:
    total = _ABOVE + height + _BELOW
    figure = _figure(total)
    box = (left / WIDTH, _BELOW / total, (WIDTH - left - _RIGHT) / WIDTH, height / total)
    return figure.add_axes(box)


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH / 72, height / 72), dpi=_DPI, facecolor="white")


def _figure_of(ax: Axes) -> Figure:
    figure = ax.figure
    assert isinstance(figure, Figure)  # noqa: S101 - ours has no sub-figures
    return figure
