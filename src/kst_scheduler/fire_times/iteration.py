"""Asking a trigger for one fire time after the other, without waiting for ever."""

from __future__ import annotations

import copy
import inspect
from bisect import bisect_left, bisect_right
from datetime import timedelta
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times.instants import DAY, MAX_INSTANT, MICROSECOND, microseconds, moment_at
from kst_scheduler.timezone import UTC
from kst_scheduler.triggers.business_days import BusinessDayTrigger
from kst_scheduler.triggers.trigger_parts import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

_MAX_STUCK: Final = 100
"""How often in a row an answer may not be later than the one before.

A CronTrigger gives one such answer after a clock time that does not exist.
"""


FAR_MOVE: Final = timedelta(days=366)
"""How far away a BusinessDayTrigger may look for fires to move."""


def keeps_rule(trigger: Any, rule: type) -> bool:
    """Say whether a trigger answers as the class ``rule`` does, which a subclass may not.

    It may replace a step of the rule as well, ``_apply_jitter`` say, and so may one object.
    """
    if type(trigger) is rule and not hasattr(trigger, "__dict__"):
        return True  # the library's own, which have slots
    return isinstance(trigger, rule) and not any(
        getattr(type(trigger), step) is not getattr(rule, step)
        or step in getattr(trigger, "__dict__", ())
        for step in _steps(rule)
    )


@cache
def _steps(rule: type) -> list[str]:
    """Return the names of the functions that a rule is made of."""
    return [
        name
        for name in dir(rule)
        if not name.startswith("__")
        and isinstance(inspect.getattr_static(rule, name), FunctionType)
    ]


def one_by_one(
    trigger: Any,
    start: datetime,
    end: int,
    agreed: Callable[[AndTrigger, datetime, int], Sequence[int]] | None = None,
) -> Iterator[int]:
    """Yield the fires from ``start`` to before ``end``, each when the trigger has answered it.

    ``agreed`` finds those of an AndTrigger inside; by default they are asked for as well.

    Raises:
        InvalidArgumentError: the answers do not move on, or an AndTrigger has no parts.

    """
    asked_until = min(end + _looked_ahead(trigger), MAX_INSTANT)

    def agreed_here(part: AndTrigger) -> Sequence[int]:
        return (agreed or _agreed)(part, start - FAR_MOVE, asked_until + 2 * DAY)

    first = microseconds(start)
    for fire in successive_fires(limited_search(trigger, asked_until, agreed_here), start):
        instant = microseconds(fire)
        if instant >= end:
            return
        # A DateTrigger or a CalendarIntervalTrigger may begin with a time that is past.
        if instant >= first:
            yield instant


def require_parts(trigger: AndTrigger) -> None:
    """Raise InvalidArgumentError where an AndTrigger has no parts."""
    if not trigger.triggers:
        raise InvalidArgumentError(
            "AndTrigger([]) has no times to agree on; write the triggers that must all fire"
        )


def _agreed(trigger: AndTrigger, start: datetime, end: int) -> list[int]:
    require_parts(trigger)
    fires = [set(one_by_one(part, start, end)) for part in trigger.triggers]
    return sorted(set.intersection(*fires))


def _looked_ahead(trigger: Any) -> int:
    """Return how far beyond a fire the trigger looks for what it moves back, in microseconds."""
    moving = [part for part in walk(trigger) if getattr(part, "otherwise", None) == "previous"]
    return len(moving) * (FAR_MOVE // MICROSECOND)


def successive_fires(
    trigger: Any, start: datetime, previous: datetime | None = None
) -> Iterator[datetime]:
    """Yield what the trigger answers from ``previous`` on, or from ``start`` where there is none.

    Raises:
        InvalidArgumentError: the answers do not move on.

    """
    fire = trigger.get_next_fire_time(previous, previous or start)
    stuck = 0
    while fire is not None:
        yield fire
        following = trigger.get_next_fire_time(fire, fire)
        stuck = stuck + 1 if following and microseconds(following) <= microseconds(fire) else 0
        if stuck > _MAX_STUCK:
            raise InvalidArgumentError(
                f"trigger={trigger!r} answers {following.isoformat()} after {fire.isoformat()}, "
                "so its fire times have no end; write a trigger whose answers become later"
            )
        fire = following


def exists(moment: datetime) -> bool:
    """Say whether a clock in the moment's zone ever shows that time."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo) == moment


def limited_search(
    trigger: Any, end: int, agreed: Callable[[AndTrigger], Sequence[int]] | None = None
) -> Any:
    """Return a trigger with the same fires before ``end`` that does not search far beyond it.

    A CronTrigger searches up to the year 9999 for a date that never comes. An AndTrigger may
    search for ever: ``agreed`` says what it is to answer instead.
    """
    if keeps_rule(trigger, CronTrigger):
        return _with_end(trigger, end)
    if keeps_rule(trigger, AndTrigger) and agreed:
        once = any(isinstance(part, DateTrigger) for part in trigger.triggers)
        return FixedFires(agreed(trigger), once=once)
    limited = trigger
    if keeps_rule(trigger, OrTrigger):
        limited = copy.copy(trigger)
        limited.triggers = [limited_search(part, end, agreed) for part in trigger.triggers]
    elif keeps_rule(trigger, BusinessDayTrigger):
        limited = copy.copy(trigger)
        limited.trigger = limited_search(trigger.trigger, end, agreed)
    return limited


def _with_end(trigger: CronTrigger, end: int) -> CronTrigger:
    # Two days more: a search passes through clock times that do not exist.
    enough = moment_at(end + 2 * DAY)
    if trigger.end_date is not None and trigger.end_date <= enough:
        return trigger
    limited = copy.copy(trigger)
    limited.end_date = enough
    return limited


class FixedFires(BaseTrigger):  # type: ignore[misc] # APScheduler ships no types
    """A trigger that answers from a list of instants, one that stands for an AndTrigger.

    With a DateTrigger among its parts an AndTrigger fires ``once``, at its first search or never.
    """

    def __init__(self, instants: Sequence[int], *, once: bool) -> None:
        self._instants = instants
        self._once = once

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """Return the first instant after the previous one, or not before now."""
        if previous_fire_time is None:
            place = bisect_left(self._instants, microseconds(now))
        elif self._once:
            return None
        else:
            place = bisect_right(self._instants, microseconds(previous_fire_time))
        return moment_at(int(self._instants[place])) if place < len(self._instants) else None
