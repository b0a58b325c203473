"""A week of fire times as a drawing: a row for each day, and in it a line for each reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from kst_scheduler.timeline.hover import when
from kst_scheduler.timeline.style import fire_mark
from kst_scheduler.timezone import UTC
from kst_workbook.explorers.drawing import Box, Lines, Spot
from kst_workbook.explorers.frame import MARK, Lane, draw_legend, mark_entry, open_frame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from kst_scheduler.timeline.style import Mark
    from kst_workbook.explorers.drawing import Drawing, Shape

_ROW: Final = 27.0
_DAYS: Final = 7
_FREE: Final = 6.0
"""Marks are drawn in full where they are this many points apart, others as ticks ..."""
_TIGHT: Final = 2.0
"""... and as a band where ticks would be nearer than this."""
_TALL: Final = 7.0


def draw_week(times: Mapping[str, pd.DatetimeIndex], start: datetime) -> Drawing:
    """Draw the fire times of seven days from a Korean midnight on, by the name of each reading."""
    first = pd.Timestamp(start)
    dates = pd.date_range(first, periods=_DAYS)
    lanes = [Lane(f"{date:%a} {date.day} {date:%b}") for date in dates]
    each = ", ".join(f"{name} ({len(moments):,})" for name, moments in times.items())
    title = f"fires in {_DAYS} days: {each}"
    frame = open_frame(title, lanes, first, dates[1], lane_height=_ROW, any_day=True)
    marks = [fire_mark(number, name) for number, name in enumerate(times)]
    for number, (mark, moments) in enumerate(zip(marks, times.values(), strict=True)):
        up = ((number + 0.5) / len(times) - 0.5) * 0.8 * _ROW
        midnights = moments.normalize()
        days = np.asarray((midnights - first).days)
        share = np.asarray((moments - midnights) / pd.Timedelta(days=1), np.float64)
        xs = frame.x(first) + share * (frame.x(dates[1]) - frame.x(first))
        for day in range(_DAYS):
            mine = np.flatnonzero(days == day)
            for cluster in _clusters(mine, xs[mine]):
                shape = _shape(xs[cluster], moments[cluster], frame.y(day) + up, mark)
                frame.drawing.add(shape)
    draw_legend(frame, [mark_entry(mark) for mark in marks])
    return frame.drawing


def _clusters(fires: NDArray[np.intp], xs: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Part the fires of a day where there is room for a mark between two of them."""
    return np.split(fires, np.flatnonzero(np.diff(xs) >= _FREE) + 1) if len(fires) else []


def _shape(xs: NDArray[np.float64], fires: pd.DatetimeIndex, y: float, mark: Mark) -> Shape:
    """Return a mark for a fire that stands alone, and ticks or a band for those that do not."""
    left, right = float(xs[0]), float(xs[-1])
    if len(fires) == 1:
        return Spot(left, y, mark, MARK, f"{mark.words}\n{_both(fires[0])}")
    words = f"{mark.words}: {len(fires):,} fires\n{_both(fires[0])}\nto\n{_both(fires[-1])}"
    top, bottom = y - _TALL / 2, y + _TALL / 2
    if (right - left) / (len(fires) - 1) >= _TIGHT:
        ticks = [[(float(x), top), (float(x), bottom)] for x in xs]
        return Lines(ticks, mark.face, 1.2, hover=words)
    return Box(left, top, max(1.0, right - left), _TALL, mark.face, hover=words)


def _both(fire: pd.Timestamp) -> str:
    return f"{when(fire)} KST\n{when(fire, UTC)} UTC"
