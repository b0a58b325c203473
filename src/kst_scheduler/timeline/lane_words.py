"""Words within a lane; left out where they would touch a mark or the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from kst_scheduler.timeline.style import LINE, TEXT, drawn_width

if TYPE_CHECKING:
    from kst_scheduler.timeline.marks import Field
    from kst_scheduler.timeline.scene import Rows

_ABOVE_LINE: Final = 1.5
"""Points between a lane's line and the words on it."""

Span = tuple[float, float]
"""From where to where something lies, in points from the left edge of the frame."""


class LaneWords(NamedTuple):
    """Words for the moment ``at`` (matplotlib's days) of a lane."""

    words: str
    at: float
    lane: int


def write_words(wanted: list[LaneWords], rows: Rows, field: Field) -> None:
    """Write each where its lane has room for it, to the right of its moment or to the left."""
    left, _ = field.page.ax.get_xlim()
    _, top = field.page.ax.get_ylim()
    gap = 0.8 * field.largest + 3
    written: dict[int, list[Span]] = {}
    for words, at, lane in wanted:
        # They stand on the lane's line, and must not reach the lane above or leave the frame.
        if min(1.0, field.y[lane] - top) * field.lane_points < TEXT * LINE + _ABOVE_LINE:
            continue
        taken = written.setdefault(lane, taken_in_lane(rows, field, lane))
        spot = (at - left) / field.page.day
        where = free_side(words, spot, taken, field.page.width, gap)
        if where is None:
            continue
        taken.append((spot, spot + gap + drawn_width(words)))
        field.page.ax.annotate(
            words,
            (at, field.y[lane]),
            (gap if where == "right" else -gap, _ABOVE_LINE),
            textcoords="offset points",
            ha="left" if where == "right" else "right",
            va="bottom",
            zorder=4,
        )


def taken_in_lane(rows: Rows, field: Field, lane: int) -> list[Span]:
    """Return what the marks and bars of a lane cover."""
    mine = np.flatnonzero(field.lane == lane)
    left, right = field.page.ax.get_xlim()
    begin = np.fmin(rows.scheduled[mine], rows.started[mine])
    finish = np.fmax(rows.ended(right)[mine], rows.place[mine])
    half = 0.6 * field.largest
    edges = np.column_stack(
        [(begin - left) / field.page.day - half, (finish - left) / field.page.day + half]
    )
    return [(float(first), float(last)) for first, last in edges]


def free_side(words: str, at: float, taken: list[Span], width: float, gap: float) -> str | None:
    """Return on which side of a point its words are free: "right", "left" or None.

    ``at`` and ``width`` are points from the left edge of the frame.
    """
    wide = drawn_width(words) + gap
    for name, first, last in (("right", at + gap, at + wide), ("left", at - wide, at - gap)):
        inside = first >= 0 and last <= width
        if inside and all(end <= first or last <= begin for begin, end in taken):
            return name
    return None
