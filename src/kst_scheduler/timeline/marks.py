"""The runs: a mark for the outcome of each, and a bar for how long it took.

All marks of a status are one matplotlib line, and all its bars another, with gaps in them. That is
by far the fastest way to draw them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from kst_scheduler.runs.table import STATUSES
from kst_scheduler.timeline.style import INK, OUTCOME_MARKS, QUIET, TEXT, text_width, tint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from kst_scheduler.timeline.page import Page
    from kst_scheduler.timeline.scene import Rows
    from kst_scheduler.timeline.style import Mark

_MAX_SIZE: Final = 8.5
_MIN_SIZE: Final = 3.0
_FREE: Final = 6.0
"""Marks are drawn in full where they are this many points apart ..."""
_TIGHT: Final = 5.0
"""... and otherwise this large; those that bring no news become thin ticks, or where they are less
than ``_BAND`` points apart, a band."""
_BAND: Final = 2.0
_WITHOUT_NEWS: Final = (STATUSES.index("ok"), STATUSES.index("locked_out"))
_MANY: Final = 5_000
_MAX_COUNTS: Final = 12
_MAX_LANE: Final = 32.4
"""A tick or a band is as tall as in a lane of so many points, at the most: the legend shows it."""


@dataclass(frozen=True)
class Field:
    """Where the rows lie: their lanes, and how large a point and a lane are."""

    page: Page
    lane: NDArray[np.intp]
    y: NDArray[np.float64]
    lane_points: float

    @property
    def largest(self) -> float:
        """The size of a mark that has all the room it wants."""
        return float(np.clip(0.6 * self.lane_points, _MIN_SIZE, _MAX_SIZE))


def broken_line(*ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Join the points of many strokes to one array, with a gap (NaN) after each stroke."""
    return np.column_stack([*ends, np.full(len(ends[0]), np.nan)]).ravel()


def draw_marks(rows: Rows, field: Field, marks: Sequence[Mark] = OUTCOME_MARKS) -> list[Line2D]:
    """Draw one mark a row; return one line for each outcome that occurs, for the legend.

    ``marks`` are those of the outcomes, by code.
    """
    room = room_for_marks(rows, field)
    codes = [int(code) for code in np.unique(rows.outcome)]
    return [_draw_status(rows, field, room, code, marks[code]) for code in codes]


def room_for_marks(rows: Rows, field: Field) -> NDArray[np.float64]:
    """Return how far apart the marks of each row's lane are, in points.

    It is the median step between the points that have a mark, so runs under one another count once.
    What brings news and what does not are measured apart: a fault is seen in a full lane too.
    """
    if not len(rows.status):
        return np.empty(0)
    x = (rows.place - np.nanmin(rows.place)) / field.page.day
    point = np.where(np.isnan(x), 0, x).astype(np.int64)
    group = field.lane * 2 + np.isin(rows.status, _WITHOUT_NEWS)
    wide = int(point.max()) + 1
    marked = np.unique(group * wide + point)
    step, owner = np.diff(marked), marked[1:] // wide
    step, owner = step[owner == marked[:-1] // wide], owner[owner == marked[:-1] // wide]
    median = pd.Series(step).groupby(owner).median()
    return median.reindex(group, fill_value=np.inf).to_numpy(np.float64)


def _draw_status(
    rows: Rows, field: Field, room: NDArray[np.float64], code: int, mark: Mark
) -> Line2D:
    """Draw a status as marks where they have room, and smaller, thinner or as a band elsewhere."""
    mine = rows.outcome == code
    free = np.flatnonzero(mine & (room >= _FREE))
    tight = np.flatnonzero(mine & (room < _FREE))
    if code not in _WITHOUT_NEWS:
        small, packed = tight[room[tight] >= _BAND], tight[room[tight] < _BAND]
        edged = mark.line(_TIGHT) | {"markeredgewidth": 0.4}
        styles = [(free, mark.line(field.largest)), (small, edged), (packed, mark.small(_TIGHT))]
        lines = [_plot(rows, field, chosen, mark.words, look) for chosen, look in styles]
    else:
        tall = min(field.lane_points, _MAX_LANE) * (0.55 if code == 0 else 0.3)
        tick = {"ls": "none", "marker": "|", "ms": tall, "mec": mark.edge, "mew": 0.9}
        ticks, band = tight[room[tight] >= _BAND], tight[room[tight] < _BAND]
        styles = [(free, mark.line(field.largest)), (ticks, tick | {"zorder": mark.layer})]
        lines = [_plot(rows, field, chosen, mark.words, look) for chosen, look in styles]
        lines.append(_plot_band(rows, field, band, mark, tall))
    return next(line for line in lines if line is not None)


def _plot(
    rows: Rows, field: Field, chosen: NDArray[np.intp], words: str, look: dict[str, Any]
) -> Line2D | None:
    if not len(chosen):
        return None
    at, lane = rows.place[chosen], field.lane[chosen]
    if len(chosen) > _MANY:
        kept = one_a_dot(at / field.page.day, lane)
        at, lane = at[kept], lane[kept]
    (line,) = field.page.ax.plot(at, field.y[lane], label=words, **look)
    return line


def _plot_band(
    rows: Rows, field: Field, chosen: NDArray[np.intp], mark: Mark, tall: float
) -> Line2D | None:
    """Draw marks that touch as a band, which ends where the next mark is more than a point away.

    Marks of their own would leave gaps between them that come from rounding to pixels alone, and
    look like runs that are lacking.
    """
    if not len(chosen):
        return None
    chosen = chosen[np.lexsort((rows.place[chosen], field.lane[chosen]))]
    at, lane = rows.place[chosen], field.lane[chosen]
    apart = (np.diff(at) > 2 * field.page.day) | (np.diff(lane) != 0)
    begins, ends = np.flatnonzero(np.r_[True, apart]), np.flatnonzero(np.r_[apart, True])
    y, half = field.y[lane[begins]], field.page.day / 2
    (line,) = field.page.ax.plot(
        broken_line(at[begins] - half, at[ends] + half),
        broken_line(y, y),
        color=tint(mark.edge, 0.5),
        linewidth=tall,
        solid_capstyle="butt",
        zorder=mark.layer - 0.9,
        label=mark.words,
    )
    return line


def one_a_dot(x: NDArray[np.float64], lane: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return which of the marks that fall on the same half point of a lane are worth drawing."""
    dots = np.floor(2 * (x - np.nanmin(x))).astype(np.int64)
    _, kept = np.unique(lane * (dots.max() + 1) + dots, return_index=True)
    return kept


def draw_bars(rows: Rows, field: Field) -> None:
    """Draw how long each run took; one that is still running reaches the frame."""
    ends = rows.ended(field.page.ax.get_xlim()[1])
    seen = ends - rows.started > field.page.day  # False for a NaN
    for code in np.unique(rows.status[seen]):
        chosen = np.flatnonzero(seen & (rows.status == code))
        y = field.y[field.lane[chosen]]
        field.page.ax.plot(
            broken_line(rows.started[chosen], ends[chosen]),
            broken_line(y, y),
            color=OUTCOME_MARKS[code].bar,
            linewidth=field.largest * 0.9,
            solid_capstyle="butt",
            zorder=2,
        )


def draw_waiting(rows: Rows, field: Field) -> None:
    """Draw a thin line from when a run was due to when it started, where they are seen apart."""
    seen = np.flatnonzero(np.abs(rows.started - rows.scheduled) > 3 * field.page.day)
    if not len(seen):
        return
    due, y = rows.scheduled[seen], field.y[field.lane[seen]]
    half = 0.3 * field.largest / field.lane_points
    field.page.ax.plot(
        broken_line(due, due, due, rows.started[seen]),
        broken_line(y - half, y + half, y, y),
        color=QUIET,
        linewidth=1,
        zorder=2.2,
    )


def draw_counts(rows: Rows, field: Field) -> None:
    """Write how many runs lie under one mark, where several started at the same moment."""
    first, last = field.page.ax.get_xlim()
    for position, number in _heaps(rows, field):
        words, at = f"{number:,} runs", rows.started[position]
        half = text_width(words) / 2 * field.page.day
        side = "left" if at - half < first else "right" if at + half > last else "center"
        field.page.ax.annotate(
            words,
            (at, field.y[field.lane[position]]),
            (0, 0.5 * field.largest + 1),
            textcoords="offset points",
            ha=side,
            va="bottom",
            size=TEXT,
            color=INK,
        )


def _heaps(rows: Rows, field: Field) -> Iterable[tuple[int, int]]:
    """Yield the first row and the size of each heap; nothing where there are too many to name."""
    if len(rows.started) > _MANY:
        return
    started = np.flatnonzero(~np.isnan(rows.started) & (room_for_marks(rows, field) >= _FREE))
    if not len(started):
        return
    order = started[np.lexsort((rows.started[started], field.lane[started]))]
    apart = np.diff(rows.started[order]) > 1.5 * field.page.day
    begins = np.flatnonzero(np.r_[True, apart | (np.diff(field.lane[order]) != 0)])
    sizes = np.diff(np.r_[begins, len(order)])
    heaps = np.flatnonzero(sizes > 1)
    if len(heaps) <= _MAX_COUNTS:
        yield from ((int(order[begins[heap]]), int(sizes[heap])) for heap in heaps)
