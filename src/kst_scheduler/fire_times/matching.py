"""Which days and which times of day the fields of a CronTrigger match, as numpy arrays.

The rules are those of apscheduler/triggers/cron/expressions.py, 3.11.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from apscheduler.triggers.cron.expressions import (
    AllExpression,
    LastDayOfMonthExpression,
    WeekdayPositionExpression,
)
from apscheduler.triggers.cron.fields import MAX_VALUES, MIN_VALUES

from kst_scheduler.fire_times.instants import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.triggers.cron import CronTrigger
    from numpy.typing import NDArray

    from kst_scheduler.fire_times.arrays import Instants

    Flags = NDArray[np.bool_]
    Days = NDArray[np.int64]  # days since 1970-01-01, in order


def times_of_day(trigger: CronTrigger) -> Instants:
    """Return the clock times that match, as microseconds since midnight, in order."""
    hours, minutes, seconds = (np.flatnonzero(_table(field)) for field in trigger.fields[5:])
    clock = (hours[:, None, None] * 60 + minutes[:, None]) * 60 + seconds
    return clock.ravel() * SECOND


def matching_days(trigger: CronTrigger, first: int, last: int) -> Days:
    """Return the dates from ``first`` to ``last``, both included, that match."""
    # No field matches a year before this one.
    first = max(first, int(np.datetime64(f"{MIN_VALUES['year']}-01-01", "D").astype(int)))
    days = np.arange(first, last + 1, dtype=np.int64)
    for field in trigger.fields[:5]:
        if not _matches_all(field):
            days = days[_MATCH[field.name](field, days)]
    return days


def _matches_all(field: Any) -> bool:
    return any(type(part) is AllExpression and not part.step for part in field.expressions)


def _table(field: Any) -> Flags:
    """Say for each value, from 0 on, whether a plain range or step of the field matches it."""
    table = np.zeros(MAX_VALUES[field.name] + 1, dtype=np.bool_)
    for part in field.expressions:
        if not isinstance(part, LastDayOfMonthExpression | WeekdayPositionExpression):
            first = getattr(part, "first", MIN_VALUES[field.name])
            last = getattr(part, "last", None)
            table[first : None if last is None else last + 1 : part.step or 1] = True
    return table


def _year(field: Any, days: Days) -> Flags:
    return _table(field)[_calendar(days, "Y") + 1970]


def _month(field: Any, days: Days) -> Flags:
    return _table(field)[_calendar(days, "M") % 12 + 1]


def _week(field: Any, days: Days) -> Flags:
    # An ISO week lies in the year of its Thursday.
    thursday = days - _weekdays(days) + 3
    new_year = _calendar(thursday, "Y").view("M8[Y]").astype("M8[D]").view(np.int64)
    matched: Flags = _table(field)[(thursday - new_year) // 7 + 1]
    return matched


def _weekday(field: Any, days: Days) -> Flags:
    return _table(field)[_weekdays(days)]


def _day(field: Any, days: Days) -> Flags:
    month = _calendar(days, "M")
    day = days - _first_of(month) + 1
    matched: Flags = _table(field)[day]
    for part in field.expressions:
        if isinstance(part, LastDayOfMonthExpression):
            matched |= days + 1 == _first_of(month + 1)
        elif isinstance(part, WeekdayPositionExpression):
            last_position = part.option_num == len(part.options) - 1
            in_place = (
                days + 7 >= _first_of(month + 1)
                if last_position
                else (day - 1) // 7 == part.option_num
            )
            matched |= in_place & (_weekdays(days) == part.weekday)
    return matched


_MATCH: dict[str, Callable[[Any, Days], Flags]] = {
    "year": _year,
    "month": _month,
    "day": _day,
    "week": _week,
    "day_of_week": _weekday,
}


def _calendar(days: Days, unit: str) -> NDArray[np.int64]:
    """Return the months or years since 1970 that the days lie in."""
    return days.view("M8[D]").astype(f"M8[{unit}]").view(np.int64)


def _first_of(months: NDArray[np.int64]) -> Days:
    return months.view("M8[M]").astype("M8[D]").view(np.int64)


def _weekdays(days: Days) -> NDArray[np.int64]:
    return (days + 3) % 7  # 1970-01-01 was a Thursday, and Monday is 0
