"""All fires of a CronTrigger, or of several in an OrTrigger, at once.

Days x clock times are the local times that match, and the zone's offsets give their instants. That
is what the library answers too, except where one of its searches meets a change of offset: there
the answer depends on the way that the search took. Those few steps are put to the library itself,
so its faults are kept: after clocks go forward it loses fires in the first hour of a later day
(agronholm/apscheduler issues 120 and 529; ``_increment_field_value`` of triggers/cron/__init__.py,
3.11.3, takes the difference of clock times and adds it as elapsed time).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from kst_scheduler.fire_times.arrays import NONE, Instants
from kst_scheduler.fire_times.instants import DAY, HOUR, NEVER, microseconds, moment_at
from kst_scheduler.fire_times.iteration import exists, limited_search, successive_fires
from kst_scheduler.fire_times.matching import matching_days, times_of_day
from kst_scheduler.fire_times.offsets import OffsetChange, offset_at, offset_changes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from apscheduler.triggers.combining import OrTrigger
    from apscheduler.triggers.cron import CronTrigger

_MARGIN: Final = 2 * DAY
"""No change of offset is larger, so one further away does not touch a span."""

_EARLY: Final = 3 * HOUR
"""Fires before this time of day can be lost: clocks gain less than this within a year."""


class UncertainSpan(NamedTuple):
    """A span to ask the library about: from the last fire before ``opens`` to ``settled``."""

    opens: int
    settled: int


class Part(NamedTuple):
    """A CronTrigger over a span: the dates and clock times that match, and the zone's changes."""

    trigger: CronTrigger
    days: Instants
    times: Instants
    changes: list[OffsetChange]


def cron_timestamps(trigger: CronTrigger, start: datetime, end: int) -> Instants:
    """Return the fires of one CronTrigger from ``start`` to before ``end``."""
    part = _part(trigger, start, end)
    uncertain = [
        UncertainSpan(change.at, change.at)
        for change in part.changes
        if not _is_harmless(change, part.times)
    ]
    return _fires(trigger, [part], uncertain + _uncertain_at_end(part), start, end)


def or_timestamps(trigger: OrTrigger, start: datetime, end: int) -> Instants:
    """Return the fires of an OrTrigger of CronTriggers from ``start`` to before ``end``.

    Where hours repeat it compares clock times, so that all around a change is uncertain.
    """
    parts = [_part(part, start, end) for part in trigger.triggers]
    uncertain = [
        UncertainSpan(change.at - abs(change.shift), change.at + abs(change.shift))
        for part in parts
        for change in part.changes
    ]
    for part in parts:
        uncertain += _uncertain_at_end(part)
    return _fires(trigger, parts, uncertain, start, end)


def _part(trigger: CronTrigger, start: datetime, end: int) -> Part:
    first, zone = microseconds(start), trigger.timezone
    days = matching_days(
        trigger,
        (first + offset_at(zone, first)) // DAY - 1,
        (end + offset_at(zone, end)) // DAY + 1,
    )
    changes = offset_changes(zone, first - _MARGIN, end + _MARGIN) if days.size else []
    return Part(trigger, days, times_of_day(trigger), changes)


def _is_harmless(change: OffsetChange, times: Instants) -> bool:
    """Say whether a search across the change finds what days x times x offsets give.

    It does when clocks go back: the way then leads through the repeated hour again. When they go
    forward a search can stop inside the gap, or arrive late at the beginning of a later day.
    """
    clock = (change.at + change.before) % DAY
    if clock % HOUR or abs(change.shift) > HOUR or clock + change.shift >= DAY:
        return False  # nor is every other kind of change: too rare to reason about
    if change.shift < 0:
        return True
    in_gap = np.diff(np.searchsorted(times, (clock, clock + change.shift)))
    return bool(times[0] >= _EARLY and not in_gap)


def _uncertain_at_end(part: Part) -> list[UncertainSpan]:
    """Return where to begin to ask, when the trigger's own end lies in a gap or a repeated hour.

    The library compares clock times there, if ``end_date`` has the trigger's own zone.
    """
    last = part.trigger.end_date
    if last is None or last.tzinfo is not part.trigger.timezone:
        return []
    return [
        UncertainSpan(change.at - abs(change.shift), NEVER)
        for change in part.changes
        if abs(microseconds(last) - change.at) <= abs(change.shift)
    ]


def _matching(part: Part, first: int, end: int) -> Instants:
    """Return the instants at which a clock in the trigger's zone shows a time that matches."""
    if part.trigger.end_date is not None:
        end = min(end, microseconds(part.trigger.end_date) + 1)
    changes = [change for change in part.changes if first < change.at < end]
    edges = [first, *(change.at for change in changes), max(first, end)]
    offsets = [offset_at(part.trigger.timezone, first), *(change.after for change in changes)]
    clock = ((part.days * DAY)[:, None] + part.times).ravel()
    begins = np.searchsorted(clock, np.add(edges[:-1], offsets)).tolist()
    stops = np.searchsorted(clock, np.add(edges[1:], offsets)).tolist()
    stretches = zip(begins, stops, offsets, strict=True)
    return np.concatenate([clock[begin:stop] - offset for begin, stop, offset in stretches])


def _fires(
    trigger: Any, parts: Sequence[Part], uncertain: list[UncertainSpan], start: datetime, end: int
) -> Instants:
    first = microseconds(start)
    parts = [part for part in parts if part.days.size]
    if not parts:
        return NONE
    instants = _matching(parts[0], first, end)
    for part in parts[1:]:
        instants = np.union1d(instants, _matching(part, first, end))
    zone = parts[0].trigger.timezone
    fires = _Fires(limited_search(trigger, end), zone, instants, start, end)
    fires.ask(settled=first)
    for span in sorted(uncertain):
        if span.opens < end and span.settled > fires.reached:
            fires.match(span.opens)
            fires.ask(span.settled)
    fires.match(end)
    return np.concatenate(fires.pieces)


class _Fires:
    """Fires in order, partly asked of the library and partly taken from ``matching``."""

    def __init__(
        self, trigger: Any, zone: tzinfo, matching: Instants, start: datetime, end: int
    ) -> None:
        self._trigger = trigger
        self._zone = zone
        self._matching = matching
        self._start = start
        self._end = end
        self._taken = 0
        self._previous: datetime | None = None
        self.reached = -NEVER
        self.pieces: list[Instants] = []

    def ask(self, settled: int) -> None:
        """Ask for the fires up to the first that is not before ``settled``, or to the end.

        A clock time that does not exist settles nothing: the next search starts at that time.
        """
        asked, first = [], microseconds(self._start)
        self.reached = NEVER  # unless a fire before the end is found
        for fire in successive_fires(self._trigger, self._start, self._previous):
            instant = microseconds(fire)
            if instant >= self._end:
                break
            if instant >= first:  # a start that no clock shows is compared by its clock time
                asked.append(instant)
            if instant >= settled and exists(fire):
                self._previous, self.reached = fire, instant
                break
        self._taken = int(np.searchsorted(self._matching, self.reached, "right"))
        self.pieces.append(np.array(asked, dtype=np.int64))

    def match(self, opens: int) -> None:
        """Take the matching instants before ``opens`` that have not been reached yet."""
        stop = int(np.searchsorted(self._matching, opens))
        if stop > self._taken:
            self.pieces.append(self._matching[self._taken : stop])
            self.reached = int(self._matching[stop - 1])
            self._previous = moment_at(self.reached).astimezone(self._zone)
            self._taken = stop
