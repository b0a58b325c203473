"""The fires of a BusinessDayTrigger, from all the fires of the trigger inside."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from kst_scheduler.business_days import SEARCH_YEARS
from kst_scheduler.fire_times.arrays import NONE, Instants
from kst_scheduler.fire_times.instants import DAY, microseconds
from kst_scheduler.fire_times.offsets import local_times, offset_at, offset_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from kst_scheduler.business_days import BusinessDayTrigger

    Timestamps = Callable[[object, datetime, int], Instants]

_SEARCHED: Final = SEARCH_YEARS * 365 * DAY
_ONE_DAY: Final = timedelta(days=1)


def business_timestamps(
    trigger: BusinessDayTrigger, timestamps: Timestamps, start: datetime, end: int
) -> Instants | None:
    """Return the fires from ``start`` to before ``end``, or None where only asking can tell.

    ``timestamps`` finds the fires of the trigger inside.
    """
    return (_kept if trigger.otherwise == "skip" else _moved)(trigger, timestamps, start, end)


def _kept(
    trigger: BusinessDayTrigger, timestamps: Timestamps, start: datetime, end: int
) -> Instants | None:
    if end - microseconds(start) > _SEARCHED:
        return None  # the trigger may count as finished in between
    instants = timestamps(trigger.trigger, start, end)
    days = local_times(instants, trigger.timezone) // DAY
    kept: Instants = instants[trigger.calendar.are_business_days(days.view("M8[D]"))]
    return kept


def _moved(
    trigger: BusinessDayTrigger, timestamps: Timestamps, start: datetime, end: int
) -> Instants | None:
    first, origin = microseconds(start), _first_origin(trigger, start)
    if offset_changes(trigger.timezone, microseconds(origin), end):
        return None  # a clock time may be missing on the day that it is moved to, or occur twice
    instants = timestamps(trigger.trigger, origin, end)
    if not instants.size:
        return NONE
    days = (instants + offset_at(trigger.timezone, first)) // DAY
    moved = np.unique(instants + (_business_days_from(trigger, days) - days) * DAY)
    inside: Instants = moved[np.searchsorted(moved, first) : np.searchsorted(moved, end)]
    return inside


def _first_origin(trigger: BusinessDayTrigger, start: datetime) -> datetime:
    """Return the earliest midnight from which a fire may be moved beyond ``start``."""
    day = start.astimezone(trigger.timezone).date()
    while not trigger.calendar.is_business_day(day - _ONE_DAY):
        day -= _ONE_DAY
    return datetime.combine(day, time(), tzinfo=trigger.timezone)


def _business_days_from(trigger: BusinessDayTrigger, days: Instants) -> Instants:
    """Return for each day the first business day that is not before it."""
    last = days[-1:].view("M8[D]").item()
    if not trigger.calendar.is_business_day(last):
        last = trigger.calendar.next_business_day(last)
    span = np.arange(days[:1].view("M8[D]")[0], np.datetime64(last, "D") + np.timedelta64(1, "D"))
    worked = span[trigger.calendar.are_business_days(span)].view(np.int64)
    found: Instants = worked[np.searchsorted(worked, days)]
    return found
