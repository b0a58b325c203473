"""A time axis with Korean time below and UTC above, at the same ticks.

Each axis writes the date at the first tick of every day, so the change of date is visible: 03:00 in
Seoul is 18:00 of the previous day in UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from kst_scheduler.timeline.days import day, days
from kst_scheduler.timeline.style import FAINT, INK, LINE, QUIET, TEXT, text_width
from kst_scheduler.timezone import KST, UTC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from kst_scheduler.timeline.page import Page

TICK_LABEL: Final = 2 * TEXT * LINE
"""Height of a tick's label in points: the time and the date."""
TICK: Final = 3.5
PAD: Final = 3.0
BAND: Final = TICK + PAD + TICK_LABEL
"""Height that the ticks and their labels take on each side, in points."""

_ROOM: Final = 58.0
"""Points from one tick to the next, at the least: a date with its year has to fit."""
_EDGE: Final = 0.012
"""Free room before the first and after the last moment, as a share of the span."""
_DAY: Final = 86_400
_AHEAD_OF_UTC: Final = 9 * 3600
_STEPS: Final = (
    *(0.1, 0.2, 0.5),
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 21_600, 43_200),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY),
)
_HOUR: Final = 3600
_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120)


def draw_time_axis(
    page: Page,
    start: pd.Timestamp,
    end: pd.Timestamp,
    *,
    any_day: bool = False,
    events: Sequence[NDArray[np.float64]] = (),
) -> None:
    """Set the limits of the page's axes and draw both scales.

    ``any_day`` draws the hours of a day without saying which. ``events`` are times of each job, as
    matplotlib counts them: where ticks are hours apart, they stand at some of each, if they can.
    """
    ax, width = page.ax, page.width
    first, last = day(start), day(end)
    edge = (last - first) * _EDGE
    ax.set_xlim(first - edge, last + edge)
    moments = ticks(start, end, width, [times_of_day(each) for each in events])
    places = days(moments)
    for_seconds = any(moment.second or moment.microsecond for moment in moments)
    in_utc = moments.tz_convert(UTC)
    if any_day:
        below, above = any_day_labels(moments, in_utc)
    else:
        below = tick_labels(moments, for_seconds)
        above = tick_labels(in_utc, for_seconds, upwards=True)
    # What would be cut off, or reach into the next picture, is left out.
    room = (ax.get_xlim()[1] - places) / page.day + page.right_margin
    below, above = (
        [
            label if text_width(label) / 2 <= space else ""
            for label, space in zip(labels, room, strict=True)
        ]
        for labels in (below, above)
    )
    ax.set_xticks(places, labels=below)
    top = ax.secondary_xaxis("top")
    top.set_xticks(places, labels=above)
    for axis in (ax, top):
        axis.tick_params(axis="x", length=TICK, pad=PAD)
    ax.grid(axis="x", color=FAINT, lw=0.8)
    ax.spines[:].set_edgecolor(QUIET)
    ax.spines["right"].set_visible(False)
    ax.spines["left"].set_visible(False)
    if len(moments):
        half = max(text_width(below[0]), text_width(above[0])) / 2
        name_the_axes(ax, min(0.0, (places[0] - ax.get_xlim()[0]) * width / (last - first) - half))


def name_the_axes(ax: Axes, left: float) -> None:
    """Write KST and UTC before the first tick's label, ``left`` points from the frame or more."""
    for name, height, side, up in (("KST", 0, "top", -1), ("UTC", 1, "bottom", 1)):
        ax.annotate(
            name,
            (0, height),
            (left - 6, up * (TICK + PAD)),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va=side,
            weight="bold",
            color=INK,
        )


def ticks(
    start: pd.Timestamp,
    end: pd.Timestamp,
    width: float,
    events: Sequence[NDArray[np.int64]] = (),
) -> pd.DatetimeIndex:
    """Return round moments of Korean time from start to end, as many as have room.

    ``events`` are the times of day of each job, in seconds.
    """
    start, end = start.tz_convert(KST), end.tz_convert(KST)
    max_ticks = max(1.0, width / _ROOM)
    seconds = (end - start).total_seconds()
    for step in _STEPS:
        if seconds / step <= max_ticks:
            return _every(start, end, step, _phase(step, events))
    months = seconds / (30.4 * _DAY)
    step = next((step for step in _MONTHS if months / step <= max_ticks), _MONTHS[-1])
    return _every_months(start, end, step)


def tick_labels(moments: pd.DatetimeIndex, seconds: bool, *, upwards: bool = False) -> list[str]:
    """Return the time of each tick, and the date where it is another than at the tick before.

    The time stands next to the axis: ``upwards`` puts the date above it.
    """
    labels, before = [], None
    for moment in moments:
        lines = [f"{moment:%H:%M:%S}" if seconds else f"{moment:%H:%M}"]
        lines[0] += f".{moment.microsecond:06}"[:2] if moment.microsecond else ""
        if before is None or moment.date() != before.date():
            new_year = before is None or moment.year != before.year
            lines.append(f"{moment.day} {moment:%b}" + (f" {moment.year}" if new_year else ""))
        labels.append("\n".join(reversed(lines) if upwards else lines))
        before = moment
    return labels


def any_day_labels(
    in_seoul: pd.DatetimeIndex, in_utc: pd.DatetimeIndex
) -> tuple[list[str], list[str]]:
    """Return the labels below and above for a day that stands for any; UTC says which it means."""
    below = [f"{moment:%H:%M}" for moment in in_seoul]
    above, before = [], None
    for _here, there in zip(in_seoul, in_utc, strict=True):
        slip = (there.date() - in_seoul[0].date()).days
        words = {-1: "day before", 0: "same day"}.get(slip, "day after")
        above.append(f"{words}\n{there:%H:%M}" if slip != before else f"{there:%H:%M}")
        before = slip
    return below, above


def times_of_day(moments: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the Korean times of day, in seconds, of what matplotlib counts in days."""
    seconds = np.rint(moments[~np.isnan(moments)] * _DAY).astype(np.int64)
    return np.unique((seconds + _AHEAD_OF_UTC) % _DAY)


def _phase(step: float, events: Sequence[NDArray[np.int64]]) -> int:
    """Return how long after midnight ticks begin so that most jobs have one of their times at one.

    It is whole hours, and 0 where that does as well; the jobs that come first decide between
    others. Ticks of days leave midnight only for an hour at which every job is due.
    """
    if step < 2 * _HOUR:
        return 0
    cycle = min(round(step), _DAY)
    hits = {
        phase: [bool(np.any(times % cycle == phase)) for times in events]
        for phase in range(0, cycle, _HOUR)
    }
    best = max(hits, key=lambda phase: (sum(hits[phase]), hits[phase], -phase))
    return best if step < _DAY or all(hits[best]) else 0


def _every(start: pd.Timestamp, end: pd.Timestamp, step: float, phase: int) -> pd.DatetimeIndex:
    size, after = pd.Timedelta(seconds=step), pd.Timedelta(seconds=phase)
    begin = start.normalize() + after
    if step >= _DAY:
        found = pd.date_range(begin, end, freq=f"{step // _DAY:.0f}D")
        return found[found >= start]
    skipped = -((begin - start) // size)
    return pd.date_range(begin + skipped * size, end, freq=size)


def _every_months(start: pd.Timestamp, end: pd.Timestamp, step: int) -> pd.DatetimeIndex:
    january = pd.Timestamp(
        year=start.year - start.year % max(1, step // 12), month=1, day=1, tz=KST
    )
    moments = pd.date_range(january, end, freq=f"{step}MS")
    return moments[moments >= start]
