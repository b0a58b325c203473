"""The fires of a BusinessDayTrigger, from all the fires of the trigger inside."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times.arrays import NONE, Instants
from kst_scheduler.fire_times.instants import DAY, microseconds, moment_at
from kst_scheduler.fire_times.offsets import local_times, offset_at, offset_changes
from kst_scheduler.triggers.business_days import SEARCH_YEARS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kst_scheduler.triggers.business_days import BusinessDayTrigger

    Timestamps = Callable[[object, datetime, int], Instants]

_SEARCHED: Final = SEARCH_YEARS * 365 * DAY
_ONE_DAY: Final = timedelta(days=1)


def business_timestamps(
    trigger: BusinessDayTrigger, timestamps: Timestamps, start: datetime, end: int
) -> Instants | None:
    """Return the fires from ``start`` to before ``end``, or None where only asking can tell.

    ``timestamps`` finds the fires of the trigger inside.
    """
    return _FORMS[trigger.otherwise](trigger, timestamps, start, end)


def _kept(
    trigger: BusinessDayTrigger, timestamps: Timestamps, start: datetime, end: int
) -> Instants | None:
    if end - microseconds(start) > _SEARCHED:
        return None  # the trigger may count as finished in between
    instants = timestamps(trigger.trigger, start, end)
    days = (local_times(instants, trigger.timezone) // DAY).view("M8[D]")
    kept: Instants = instants[_are_kept(trigger, days)]
    return kept


def _are_kept(trigger: BusinessDayTrigger, days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    nth = trigger.nth_of_month
    if nth is None:
        return trigger.calendar.are_business_days(days)
    months = np.unique(days.astype("M8[M]")).tolist()
    found = [trigger.calendar.nth_business_day(month.year, month.month, nth) for month in months]
    return np.isin(days, np.array([day for day in found if day], dtype="M8[D]"))


def _moved_on(
    trigger: BusinessDayTrigger, timestamps: Timestamps, start: datetime, end: int
) -> Instants | None:
    first, origin = microseconds(start), _first_origin(trigger, start)
    if offset_changes(trigger.timezone, microseconds(origin), end):
        return None  # a clock time may be missing on the day that it is moved to, or occur twice
    return _moved(trigger, timestamps(trigger.trigger, origin, end), first, end)


def _moved_back(
    trigger: BusinessDayTrigger, timestamps: Timestamps, start: datetime, end: int
) -> Instants | None:
    first = microseconds(start)
    try:
        last = microseconds(_last_origin(trigger, end))
    except InvalidArgumentError:
        return None  # the calendar ends there, which matters only if the trigger still fires
    if offset_changes(trigger.timezone, first, last):
        return None  # as above
    return _moved(trigger, timestamps(trigger.trigger, start, last), first, end)


def _moved(trigger: BusinessDayTrigger, instants: Instants, first: int, end: int) -> Instants:
    """Return where fires are moved to, as far as that is inside the span."""
    if not instants.size:
        return NONE
    days = (instants + offset_at(trigger.timezone, first)) // DAY
    moved = np.unique(instants + (_landing_days(trigger, days) - days) * DAY)
    inside: Instants = moved[np.searchsorted(moved, first) : np.searchsorted(moved, end)]
    return inside


def _first_origin(trigger: BusinessDayTrigger, start: datetime) -> datetime:
    """Return the earliest midnight from which a fire may be moved beyond ``start``."""
    day = start.astimezone(trigger.timezone).date()
    while not trigger.calendar.is_business_day(day - _ONE_DAY):
        day -= _ONE_DAY
    return datetime.combine(day, time(), tzinfo=trigger.timezone)


def _last_origin(trigger: BusinessDayTrigger, end: int) -> datetime:
    """Return the first midnight from which no fire is moved to before ``end``."""
    day = trigger.calendar.next_business_day(moment_at(end).astimezone(trigger.timezone).date())
    return datetime.combine(day, time(), tzinfo=trigger.timezone)


def _landing_days(trigger: BusinessDayTrigger, days: Instants) -> Instants:
    """Return for each day the business day that its fires are moved to, itself if it is one."""
    calendar, back = trigger.calendar, trigger.otherwise == "previous"
    first, last = days[:1].view("M8[D]").item(), days[-1:].view("M8[D]").item()
    if back and not calendar.is_business_day(first):
        first = calendar.previous_business_day(first)
    if not back and not calendar.is_business_day(last):
        last = calendar.next_business_day(last)
    span = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + np.timedelta64(1, "D"))
    worked = span[calendar.are_business_days(span)].view(np.int64)
    places = np.searchsorted(worked, days, "right") - 1 if back else np.searchsorted(worked, days)
    found: Instants = worked[places]
    return found


_FORMS: Final = {"skip": _kept, "next": _moved_on, "previous": _moved_back}
