"""When triggers fire: a lane for each over a day, or a row for each day over a week."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timeline.days import day, days
from kst_scheduler.timeline.hover import areas_of_fires, tell
from kst_scheduler.timeline.kst_axis import draw_time_axis
from kst_scheduler.timeline.lane_words import LaneWords, write_words
from kst_scheduler.timeline.lanes import MARGIN, Lanes, draw_lanes
from kst_scheduler.timeline.marks import Field, draw_marks
from kst_scheduler.timeline.page import (
    MAX_HEIGHT,
    draw_legend,
    finished,
    left_margin,
    margins,
    own_page,
    page_on,
)
from kst_scheduler.timeline.scene import Rows, span
from kst_scheduler.timeline.style import QUIET, fire_mark, house_style
from kst_scheduler.timeline.words import A_YEAR, Clock, count, digits_apart, duration, short
from kst_scheduler.timezone import KST, require_aware

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from apscheduler.triggers.base import BaseTrigger
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_LANE: Final = 32.4
_MIN_LANE: Final = 12.0
_ONE_AXIS: Final = pd.Timedelta(hours=36)
_DAY_ROWS: Final = pd.Timedelta(days=14)
_MAX_TIMES: Final = 4
"""A lane with more fires than this needs no times beside its marks."""
_MAX_NAMES: Final = 5


def plot_fire_times(
    triggers: Mapping[str, BaseTrigger | pd.DatetimeIndex],
    start: datetime,
    end: datetime,
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw when each of several triggers fires from start to end, on Korean time with UTC above.

    Up to a day and a half, and beyond two weeks, each trigger has a lane on one axis. In between
    each day has a row, so that the hours can be read and the days compared.

    Args:
        triggers: a trigger for each name, or its fire times.
        start: the first moment; a fire at it is drawn.
        end: the moment after the last; a fire at it is not.
        title: replaces the automatic one, which counts the fires.
        ax: axes to clear and draw on; they shrink to make room for the labels. None: a new figure.

    Raises:
        InvalidArgumentError: ``triggers`` is no dict, or the end is not after the start.
        NaiveDatetimeError: a time has no zone.

    """
    if not isinstance(triggers, Mapping):
        raise InvalidArgumentError(
            f"a {type(triggers).__name__} names no triggers; "
            "write {'nightly': cron(hour=3), 'hourly': cron(minute=0)}"
        )
    first, last = span([], [], start, end)
    assert first is not None  # noqa: S101 - both were given
    assert last is not None  # noqa: S101
    times = {
        str(name): fires(trigger, f"triggers[{name!r}]", first, last)
        for name, trigger in triggers.items()
    }
    title = _title(times, last - first) if title is None else title
    with house_style():
        if _ONE_AXIS < last - first <= _DAY_ROWS:
            return _day_rows(times, first, last, title, ax)
        return _lanes(times, first, last, title, ax)


def fires(trigger: Any, name: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
    """Return the fire times of a trigger, or those of an index, from start until before end.

    ``name`` is what messages call it.

    Raises:
        InvalidArgumentError: when it is neither.
        NaiveDatetimeError: when the index has no zone.

    """
    if not isinstance(trigger, pd.DatetimeIndex):
        if not hasattr(trigger, "get_next_fire_time"):
            raise InvalidArgumentError(
                f"{name}={trigger!r} is no trigger and no DatetimeIndex; write cron(hour=3), or "
                "fire_times(trigger, start, end)"
            )
        from kst_scheduler.fire_times import fire_times  # noqa: PLC0415 - only for triggers

        trigger = fire_times(trigger, start.to_pydatetime(), end.to_pydatetime())
    if trigger.empty:
        return pd.DatetimeIndex([], tz=KST)
    require_aware(trigger[0], name)
    moments = pd.DatetimeIndex(trigger).tz_convert(KST)
    return moments[(moments >= start) & (moments < end)]


def _title(times: Mapping[str, pd.DatetimeIndex], length: pd.Timedelta) -> str:
    total = sum(map(len, times.values()))
    if not times:
        return "no triggers"
    whole = length % pd.Timedelta(days=1) == pd.Timedelta(0)
    span_words = count(length.days, "day") if whole else duration(length)
    if len(times) > _MAX_NAMES:
        return f"{count(total, 'fire')} of {len(times)} triggers in {span_words}"
    each = [f"{short(name)} ({len(moments):,})" for name, moments in times.items()]
    return f"fires in {span_words}: {', '.join(each)}"


def _rows(at: list[pd.DatetimeIndex], lanes: list[int]) -> tuple[Rows, np.ndarray[Any, Any]]:
    """Return fires as rows that are all ok, and the lane of each."""
    x = np.concatenate([np.empty(0), *(days(moments) for moments in at)])
    lane = np.repeat(np.array(lanes, np.intp), [len(moments) for moments in at])
    same = np.zeros(len(x), np.intp)
    never, nothing = np.full(len(x), np.nan), np.full(len(x), None)
    return Rows(same, same, same, x, x, never, same == 1, nothing), lane


def _lanes(
    times: Mapping[str, pd.DatetimeIndex],
    start: pd.Timestamp,
    end: pd.Timestamp,
    title: str,
    ax: Axes | None,
) -> Axes:
    lanes = Lanes([("", name) for name in times] or [("", "")])
    height = min(_LANE * lanes.units, MAX_HEIGHT - sum(margins(title)))
    left = left_margin([short(name) for name in times])
    page = page_on(ax, title, left) if ax is not None else own_page(title, left, height)
    points = page.height / lanes.units
    draw_lanes(page.ax, lanes, points)
    x = [days(moments) for moments in times.values()]
    draw_time_axis(page, start, end, events=x)
    rows, lane = _rows(list(times.values()), list(range(len(times))))
    field = Field(page, lane, lanes.y, points)
    draw_marks(rows, field)
    # Over weeks the day is what tells fires apart, and there is no room for both.
    clock = Clock(with_year=end - start > A_YEAR)
    write = clock.date if end - start > _ONE_AXIS else None
    _write_times(list(times.values()), rows, field, write)
    _say_never(times, field)
    places = [(at, np.full(len(at), y)) for at, y in zip(x, lanes.y, strict=False)]
    half = 0.6 * field.largest
    tell(page.ax, lambda: areas_of_fires(times, places, half))
    return finished(page)


def _write_times(
    lanes: list[pd.DatetimeIndex],
    rows: Rows,
    field: Field,
    write: Callable[[datetime], str] | None = None,
) -> None:
    """Write the clock time beside the fires of each lane that has few, or what ``write`` says."""
    few = [(number, at) for number, at in enumerate(lanes) if len(at) <= _MAX_TIMES]
    write = write or Clock(digits=max((digits_apart(at) for _, at in few), default=0))
    words = [LaneWords(write(one), day(one), number) for number, at in few for one in at]
    write_words(words, rows, field)


def _say_never(times: Mapping[str, pd.DatetimeIndex], field: Field) -> None:
    for number, moments in enumerate(times.values()):
        if moments.empty:
            field.page.ax.annotate(
                "no fire",
                (0.5, field.y[number]),
                (0, 1.5),
                xycoords=field.page.ax.get_yaxis_transform(),
                textcoords="offset points",
                ha="center",
                va="bottom",
                color=QUIET,
            )


def _day_rows(
    times: Mapping[str, pd.DatetimeIndex],
    start: pd.Timestamp,
    end: pd.Timestamp,
    title: str,
    ax: Axes | None,
) -> Axes:
    """Draw a row a day, in it a line for each trigger; all fires are moved to the first day."""
    first = start.normalize()
    dates = pd.date_range(first, end - pd.Timedelta(microseconds=1), freq="D")
    names = [f"{date:%a} {date.day} {date:%b}" for date in dates]
    lines = max(1, len(times))
    wanted = len(dates) * max(_LANE, lines * _MIN_LANE)
    legend = [short(name) for name in times] if lines > 1 else []
    height = min(wanted, MAX_HEIGHT - sum(margins(title, legend)))
    left = left_margin(names)
    page = (
        page_on(ax, title, left, legend)
        if ax is not None
        else own_page(title, left, height, legend)
    )
    rows_of_days = Lanes([(name, "") for name in names])
    draw_lanes(page.ax, rows_of_days, page.height / rows_of_days.units)
    draw_time_axis(page, first, first + pd.Timedelta(days=1), any_day=True)
    points = page.height / (len(dates) + 2 * MARGIN) / lines
    artists: list[Artist] = []
    places: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []
    for number, (name, moments) in enumerate(times.items()):
        spread = (number + 0.5) / lines - 0.5
        moved = [(moments[moments.normalize() == date] - date) + first for date in dates]
        rows, lane = _rows(moved, list(range(len(dates))))
        field = Field(page, lane, rows_of_days.y + spread * 0.9, points)
        artists += draw_marks(rows, field, [fire_mark(number, short(name))])
        places.append((rows.place, field.y[lane]))
        if len(times) == 1:
            _write_times(moved, rows, field)
    if lines > 1:
        draw_legend(page, artists, 8.0)
    tell(page.ax, lambda: areas_of_fires(times, places, 5.0))
    return finished(page)
