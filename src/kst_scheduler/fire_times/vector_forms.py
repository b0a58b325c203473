"""How the fires of each kind of trigger are found: as arrays where that is exact, or by asking."""

from __future__ import annotations

from datetime import timezone
from functools import reduce
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.fire_times.arrays import NONE, Instants
from kst_scheduler.fire_times.business_fires import business_timestamps
from kst_scheduler.fire_times.cron_fires import cron_timestamps, or_timestamps
from kst_scheduler.fire_times.instants import (
    MICROSECOND,
    SECOND,
    microseconds,
    moment_at,
)
from kst_scheduler.fire_times.iteration import keeps_rule, one_by_one, require_parts
from kst_scheduler.triggers.business_days import BusinessDayTrigger
from kst_scheduler.triggers.trigger_parts import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    Form = Callable[[Any, datetime, int], Instants]

_FLOATS_ARE_EXACT: Final = 2**32 * SECOND
"""Until here, in the year 2106, a float holds a time to less than half a microsecond."""


def timestamps(trigger: Any, start: datetime, end: int) -> Instants:
    """Return the fires from ``start`` to before ``end``, in microseconds since 1970."""
    return _form(trigger)(trigger, start, end)


def has_vector_form(trigger: Any) -> bool:
    """Say whether the fire times are computed at once, rather than asked for one by one.

    A BusinessDayTrigger counts as computed, although it is asked over more than ``SEARCH_YEARS``,
    and over a change of offset if it moves its fires.
    """
    return _form(trigger) is not _asked and all(map(has_vector_form, parts_of(trigger)))


def _form(trigger: Any) -> Form:
    if _is_plain_cron(trigger):
        return cron_timestamps
    if keeps_rule(trigger, OrTrigger) and all(map(_is_plain_cron, trigger.triggers)):
        return or_timestamps
    if keeps_rule(trigger, BusinessDayTrigger) and _begins_anywhere(trigger.trigger):
        return _on_business_days
    for rule, form in _FORMS:
        if keeps_rule(trigger, rule):
            return form
    return _asked


def _is_plain_cron(trigger: Any) -> bool:
    return keeps_rule(trigger, CronTrigger) and isinstance(trigger.timezone, ZoneInfo | timezone)


def _begins_anywhere(trigger: Any) -> bool:
    """Say whether the fires after a moment do not depend on where the search for them began."""
    if keeps_rule(trigger, OrTrigger):
        # An OrTrigger heeds a start_date only in its first search (3.11.3).
        return all(_is_plain_cron(part) and part.start_date is None for part in trigger.triggers)
    if keeps_rule(trigger, IntervalTrigger):
        return not _has_fraction(trigger)
    return _is_plain_cron(trigger)


def _has_fraction(trigger: IntervalTrigger) -> bool:
    return bool(trigger.interval.microseconds or trigger.start_date.microsecond)


def _on_business_days(trigger: BusinessDayTrigger, start: datetime, end: int) -> Instants:
    found = business_timestamps(trigger, timestamps, start, end)
    return _asked(trigger, start, end) if found is None else found


def _agreed(trigger: AndTrigger, start: datetime, end: int) -> Instants:
    """Return the times at which all parts fire.

    These are the library's answers where it has any: it searches forever after the first fire
    of one part that is not a fire of all (``AndTrigger.get_next_fire_time``, 3.11.3: a part goes
    on from ``previous_fire_time``, however far the search has come).
    """
    require_parts(trigger)
    return reduce(np.intersect1d, [timestamps(part, start, end) for part in trigger.triggers])


def _date(trigger: DateTrigger, start: datetime, end: int) -> Instants:
    instant = microseconds(trigger.run_date)
    return np.array([instant]) if microseconds(start) <= instant < end else NONE


def _interval(trigger: IntervalTrigger, start: datetime, end: int) -> Instants:
    # IntervalTrigger adds floats: whole seconds are exact, fractions are as long as floats are.
    if trigger.interval_length < 0 or (_has_fraction(trigger) and end > _FLOATS_ARE_EXACT):
        return _asked(trigger, start, end)
    first = trigger.get_next_fire_time(None, start)
    if first is None:
        return NONE
    if trigger.end_date is not None:
        end = min(end, microseconds(trigger.end_date) + 1)
    fires = np.arange(microseconds(first), end, trigger.interval // MICROSECOND)
    if fires.size > 1 and not _is_reached(trigger, int(fires[-1])):
        fires = fires[:-1]
    return fires[np.searchsorted(fires, microseconds(start)) :]


def _is_reached(trigger: IntervalTrigger, last: int) -> bool:
    """Say whether the library's sum of floats does not go beyond an end_date that it meets."""
    before = moment_at(last) - trigger.interval
    return trigger.get_next_fire_time(before, before) is not None


def _asked(trigger: Any, start: datetime, end: int) -> Instants:
    def agreed(part: AndTrigger, start: datetime, end: int) -> Sequence[int]:
        return _agreed(part, start, end).tolist()  # type: ignore[no-any-return] # of NumPy

    return np.fromiter(one_by_one(trigger, start, end, agreed), dtype=np.int64)


_FORMS: Final[list[tuple[type, Form]]] = [
    (IntervalTrigger, _interval),
    (DateTrigger, _date),
    (AndTrigger, _agreed),
]
