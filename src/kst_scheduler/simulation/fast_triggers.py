"""Fast cron triggers for a simulation, with exactly the fire times that the library computes.

A scheduler calls a trigger twice for each fire, and most of a simulation's time would go there. So
the fire times of a trigger that is called often are computed ahead (kst_scheduler.fire_times). The
library itself answers in three cases: a trigger with jitter; the weeks around a change of the UTC
offset, where the result depends on where the search starts; and a subclass, whose rule may differ.
"""

from __future__ import annotations

import contextlib
import sys
from bisect import bisect_left
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.fire_times.instants import MICROSECOND, SECOND, microseconds
from kst_scheduler.fire_times.spans import fire_timestamps
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED_OFTEN: Final = 16
"""After so many questions a table pays for itself."""

TABLE_SPAN: Final = timedelta(days=92)
"""A table's span at most: 64 MB for a job that fires every second, the worst case."""

MEMOS_BEFORE_A_LOOK: Final = 64
"""So many memos are made before the first look at which triggers are gone."""

_library_answer = CronTrigger.get_next_fire_time


@contextlib.contextmanager
def fast_triggers(length: timedelta = TABLE_SPAN) -> Iterator[None]:
    """Patch CronTrigger, so that a job may be given any trigger, at any time, by any code.

    ``length`` is that of the simulation: there is no need of fire times long after its end.
    """
    memos: dict[CronTrigger, _Memo] = {}
    span = min(length + timedelta(days=1), TABLE_SPAN)
    look_at = MEMOS_BEFORE_A_LOOK

    def get_next_fire_time(
        trigger: CronTrigger, previous: datetime | None, now: datetime
    ) -> datetime | None:
        nonlocal look_at
        if type(trigger) is not CronTrigger:
            fire: datetime | None = _library_answer(trigger, previous, now)
            return fire
        memo = memos.get(trigger)
        if memo is None:
            if len(memos) >= look_at:
                _drop_those_gone(memos)
                look_at = MEMOS_BEFORE_A_LOOK + 2 * len(memos)
            memo = memos[trigger] = _Memo(trigger, span)
        return memo.answer(previous, now)

    CronTrigger.get_next_fire_time = get_next_fire_time
    try:
        yield
    finally:
        CronTrigger.get_next_fire_time = _library_answer


def _drop_those_gone(memos: dict[CronTrigger, _Memo]) -> None:
    """Drop the memos of triggers that nothing else refers to; a trigger allows no weak reference.

    A job store that unpickles makes new triggers each time that it is read.
    """
    unused = CronTrigger(timezone=UTC)
    memos[unused] = _Memo(unused, TABLE_SPAN)
    # A list, so that each trigger is counted with the same references of this function's own.
    triggers = list(memos)
    del unused
    counts = list(map(sys.getrefcount, triggers))
    for trigger, count in zip(triggers, counts, strict=True):
        if count <= counts[-1]:
            del memos[trigger]


def _state(trigger: CronTrigger) -> tuple[Any, ...]:
    """Return what decides a trigger's answers, and may be replaced; the fields are a list."""
    return (*trigger.fields, trigger.timezone, trigger.start_date, trigger.end_date)


class _Memo:
    """What one trigger has answered last, and its fire times of the next weeks."""

    __slots__ = (
        *("_asked", "_fires", "_high", "_index", "_last", "_low"),
        *("_previous", "_span", "_state", "_trigger"),
    )

    def __init__(self, trigger: CronTrigger, span: timedelta) -> None:
        self._trigger = trigger
        self._span = span
        """Of its tables."""
        self._begin(_state(trigger))

    def _begin(self, state: tuple[Any, ...]) -> None:
        self._state = state
        self._asked = 0
        self._low = self._high = 0
        self._fires: memoryview | list[int] = []
        self._previous: datetime | None = None
        self._last: datetime | None = None
        """The answer to ``_previous``, and where it stands in the table (-1: it does not)."""
        self._index = -1

    def answer(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the trigger's next fire time, as ``CronTrigger.get_next_fire_time`` would."""
        if previous is None or now < previous:
            return self._library(previous, now)
        # From here on ``now`` plays no part: the library looks for the first fire after previous.
        if previous is not self._previous:
            if (state := _state(self._trigger)) != self._state:
                self._begin(state)
            if self._bypassed(previous):
                return self._library(previous, now)
            self._last = self._next(previous, now)
            self._previous = previous
        return self._last

    def _library(self, previous: datetime | None, now: datetime) -> datetime | None:
        fire: datetime | None = _library_answer(self._trigger, previous, now)
        return fire

    def _bypassed(self, previous: datetime) -> bool:
        start = self._trigger.start_date  # the library heeds it only where nothing fired before
        return bool(self._trigger.jitter) or (start is not None and previous < start)

    def _next(self, previous: datetime, now: datetime) -> datetime | None:
        if previous is self._last and 0 <= self._index < len(self._fires) - 1:
            self._index += 1
        else:
            self._index = self._look_up(previous)
        if self._index < 0:
            return self._library(previous, now)
        return datetime.fromtimestamp(self._fires[self._index] // SECOND, self._trigger.timezone)

    def _look_up(self, previous: datetime) -> int:
        """Return the place of the first fire after ``previous`` in the table, or -1."""
        self._asked += 1
        if self._asked < ASKED_OFTEN:
            return -1
        after = microseconds(previous) + 1
        if not self._low <= after < self._high:
            self._make_table(previous, after)
        index = bisect_left(self._fires, after)
        return index if index < len(self._fires) else -1

    def _make_table(self, previous: datetime, after: int) -> None:
        start = previous.astimezone(UTC) + MICROSECOND
        end = start + self._span
        self._low, self._high = after, after + self._span // MICROSECOND
        self._fires = []  # fire_timestamps may ask this very trigger
        if _has_one_offset(self._trigger, start, end):
            self._fires = memoryview(fire_timestamps(self._trigger, start, end).data)


def _has_one_offset(trigger: CronTrigger, start: datetime, end: datetime) -> bool:
    """Tell whether the zone keeps its UTC offset from a day before ``start`` to a day after."""
    moment, offsets = start - timedelta(days=1), set()
    while moment <= end + timedelta(days=1):
        offsets.add(moment.astimezone(trigger.timezone).utcoffset())
        moment += timedelta(hours=12)
    return len(offsets) == 1
