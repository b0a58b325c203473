"""The fire times of a trigger for the day ahead: worked out once, looked up every minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.fire_times import fire_timestamps, zone_of
from kst_scheduler.fire_times.instants import microseconds, moment_at

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

    from kst_scheduler.fire_times.arrays import Instants

AHEAD: Final = timedelta(days=1)


class FirePlan:
    """What one trigger does, from the first moment asked for to a day after the last.

    Times are integers: microseconds since 1970 in UTC. A replica needs no pandas for them.
    """

    def __init__(self, trigger: BaseTrigger) -> None:
        self.trigger = trigger
        self._zone: Any = None
        self._start = self._end = 0
        self._fires: Instants
        self._none: Instants

    def between(self, start: datetime, end: datetime) -> Instants:
        """Return the fire times from ``start`` to before ``end``; none when ``end`` is earlier.

        Raises:
            InvalidArgumentError: as ``fire_times``, of a trigger with jitter, say.

        """
        end = max(start, end)
        first, last = microseconds(start), microseconds(end)
        if self._zone is None or not self._start <= first <= last <= self._end:
            self._fires = fire_timestamps(self.trigger, start, end + AHEAD)
            self._none = self._fires[:0]
            self._zone = zone_of(self.trigger, start)
            self._start, self._end = first, microseconds(end + AHEAD)
        low, high = self._fires.searchsorted([first, last])
        return self._fires[low:high] if low < high else self._none  # most often nothing is due

    def moment(self, fire: int) -> datetime:
        """Return a fire time in the trigger's zone, or in that of the first span asked for."""
        return moment_at(int(fire)).astimezone(self._zone)
