"""A table of runs as a drawing: marks, bars, incidents, and words for where the mouse rests.

It shows what ``plot_timeline`` shows of a few lanes, by the same marks, in a tenth of the time.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.runs.table import NODE_DOWN
from kst_scheduler.timeline.duplicates import DUPLICATE_WORDS
from kst_scheduler.timeline.grace import GRACE_WORDS
from kst_scheduler.timeline.hover import when
from kst_scheduler.timeline.runs_picture import timeline_title
from kst_scheduler.timeline.style import (
    BLACK,
    BLUE,
    OUTCOME_MARKS,
    QUIET,
    SKY_BLUE,
    TEXT,
    VERMILLION,
    drawn_width,
)
from kst_scheduler.timeline.words import incident
from kst_workbook.explorers.drawing import Box, Lines, Spot, Words
from kst_workbook.explorers.frame import (
    LANE,
    MARK,
    STRIP,
    draw_legend,
    mark_entry,
    open_frame,
    stroke_entry,
)
from kst_workbook.explorers.run_words import describe_run, mark_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from kst_scheduler.simulation import SimulationResult
    from kst_scheduler.timeline.style import Mark
    from kst_workbook.explorers.drawing import Drawing
    from kst_workbook.explorers.frame import Entry, Frame, Lane

Place = tuple[str, str]
"""A node and the id of a job."""

_SHADES: Final = {"freeze": (SKY_BLUE, 0.22), "crash": (BLACK, 0.14)}
_STEPS: Final = [step / 12 for step in range(13)]
_MAX_ARCS: Final = 200


def draw_result(result: SimulationResult, lanes: Mapping[Place, Lane]) -> Drawing:
    """Draw a simulation's result, its incidents too; the title says what went wrong."""
    frame = open_runs(result.runs, lanes, result.start, result.end)
    draw_incidents(frame, result.incidents, list(lanes))
    draw_legend(frame, draw_runs(frame, result.runs, list(lanes), result.grace))
    return frame.drawing


def draw_table(
    runs: pd.DataFrame,
    lanes: Mapping[Place, Lane],
    start: datetime,
    end: datetime,
    title: str = "",
) -> Drawing:
    """Draw a table of runs from start to end; the title says what went wrong if left out."""
    frame = open_runs(runs, lanes, start, end, title, strip=0)
    draw_legend(frame, draw_runs(frame, runs, list(lanes)))
    return frame.drawing


def open_runs(
    runs: pd.DataFrame,
    lanes: Mapping[Place, Lane],
    start: datetime,
    end: datetime,
    title: str = "",
    more: Sequence[Lane] = (),
    strip: float = STRIP,
) -> Frame:
    """Return a frame with the title of these runs, their lanes, and ``more`` lanes below them.

    ``strip`` is the height of the room for the names of incidents.
    """
    title = title or timeline_title(runs, start, end)
    return open_frame(
        title, [*lanes.values(), *more], pd.Timestamp(start), pd.Timestamp(end), strip=strip
    )


def draw_incidents(frame: Frame, incidents: pd.DataFrame, places: Sequence[Place]) -> None:
    """Shade each freeze and crash over its node's lanes, and name it in the strip above them."""
    free = frame.left
    for node, kind, start, end, detail in incidents.itertuples(index=False):
        words = incident(node, kind, start, end, detail, last=frame.end)
        left, right = frame.x(start), frame.right if pd.isna(end) else frame.x(end)
        lanes = [lane for lane, place in enumerate(places) if place[0] == node]
        top = frame.y(lanes[0]) - LANE / 2 if lanes[0] else frame.top
        tall = frame.y(lanes[-1]) + LANE / 2 - top
        colour, opacity = _SHADES[kind]
        until = "" if pd.isna(end) else f" until {when(end)}"
        hover = f"{words}\n{when(start)}{until}"
        frame.drawing.add(Box(left, top, max(2, right - left), tall, colour, opacity, hover))
        half = drawn_width(words) / 2 + 2
        middle = min(max((left + right) / 2, free + half), frame.right - half)
        if middle - half >= free:
            y = frame.top + STRIP / 2 + 0.35 * TEXT
            frame.drawing.add(Words(middle, y, words, "middle"))
            free = middle + half


def draw_runs(
    frame: Frame,
    runs: pd.DataFrame,
    places: Sequence[Place],
    grace: Mapping[str, timedelta | None] | None = None,
) -> list[Entry]:
    """Draw the runs, each in the lane of its place; return what the legend has to say of them."""
    rows = [row for row in runs.itertuples(index=False) if (row.node, row.job_id) in places]
    lane_y = {place: frame.y(number) for number, place in enumerate(places)}
    ys = [lane_y[str(row.node), str(row.job_id)] for row in rows]
    for row, y in zip(rows, ys, strict=True):
        _draw_work(frame, row, y)
    entries = _draw_grace(frame, rows, ys, grace or {})
    entries += _draw_duplicates(frame, rows, ys)
    _draw_marks(frame, rows, ys)
    found = {mark_of(row) for row in rows}
    return [mark_entry(mark) for mark in OUTCOME_MARKS if mark in found] + entries


def _draw_work(frame: Frame, row: Any, y: float) -> None:
    """Draw how long a run took, and the time from when it was due to when it started.

    Where two runs of a lane overlap, their bars do, and the colour is deeper.
    """
    if pd.isna(row.started_at):
        return
    due, left = frame.x(row.scheduled_at), frame.x(row.started_at)
    right = frame.right if pd.isna(row.finished_at) else frame.x(row.finished_at)
    mark, tall = mark_of(row), 0.9 * MARK
    if right - left > 1:
        fill = BLUE if mark.face == "none" else mark.face
        words = describe_run(row)
        frame.drawing.add(Box(left, y - tall / 2, right - left, tall, fill, 0.4, words))
    if abs(left - due) > MARK / 3:
        half = 0.3 * MARK
        frame.drawing.add(Lines([[(due, y - half), (due, y + half)], [(due, y), (left, y)]], QUIET))


def _draw_marks(frame: Frame, rows: Sequence[Any], ys: Sequence[float]) -> None:
    """Draw a mark a run, the worst on top; of several on one spot, one, which counts them."""
    spots: dict[tuple[Mark, int, float], list[Any]] = {}
    for row, y in zip(rows, ys, strict=True):
        at = row.scheduled_at if pd.isna(row.started_at) else row.started_at
        spots.setdefault((mark_of(row), round(frame.x(at)), y), []).append((frame.x(at), row))
    for (mark, _, y), found in sorted(spots.items(), key=lambda spot: spot[0][0].layer):
        x, row = found[0]
        more = f"\n{len(found)} runs lie here" if len(found) > 1 else ""
        frame.drawing.add(Spot(x, y, mark, MARK, describe_run(row) + more))


def _draw_grace(
    frame: Frame, rows: Sequence[Any], ys: Sequence[float], grace: Mapping[str, timedelta | None]
) -> list[Entry]:
    """Draw until when each missed run was allowed to start."""
    strokes = []
    for row, y in zip(rows, ys, strict=True):
        limit = grace.get(row.job_id)
        if row.status == "missed" and row.detail != NODE_DOWN and limit is not None:
            due, last = frame.x(row.scheduled_at), frame.x(row.scheduled_at + limit)
            strokes += [[(due, y + 10.4), (last, y + 10.4)], [(last, y + 7.9), (last, y + 12.9)]]
    if not strokes:
        return []
    frame.drawing.add(Lines(strokes, VERMILLION, 1.6))
    return [stroke_entry(GRACE_WORDS, VERMILLION, 1.6)]


def _draw_duplicates(frame: Frame, rows: Sequence[Any], ys: Sequence[float]) -> list[Entry]:
    """Join the runs of an occurrence that ran more than once, by an arc from each to the next."""
    ran: dict[tuple[str, pd.Timestamp], list[tuple[float, float]]] = {}
    for row, y in zip(rows, ys, strict=True):
        if not pd.isna(row.started_at) and row.status != "locked_out":
            spot = (frame.x(row.started_at), y)
            ran.setdefault((row.job_id, row.scheduled_at), []).append(spot)
    arcs = [_arc(frame, *pair) for spots in ran.values() for pair in pairwise(spots)]
    if not 0 < len(arcs) <= _MAX_ARCS:
        return []
    frame.drawing.add(Lines(arcs, BLACK, 1.3))
    return [stroke_entry(DUPLICATE_WORDS, BLACK, 1.3)]


def _arc(
    frame: Frame, one: tuple[float, float], other: tuple[float, float]
) -> list[tuple[float, float]]:
    """Return a curve that leaves to the left, or upwards within a lane."""
    (x0, y0), (x1, y1) = one, other
    aside = max(frame.left - 8, min(x0, x1) - 24)
    x2, y2 = ((x0 + x1) / 2, y0 - 24) if y0 == y1 else (aside, (y0 + y1) / 2)
    weights = [((1 - s) ** 2, 2 * s * (1 - s), s**2) for s in _STEPS]
    return [(a * x0 + b * x2 + c * x1, a * y0 + b * y2 + c * y1) for a, b, c in weights]
