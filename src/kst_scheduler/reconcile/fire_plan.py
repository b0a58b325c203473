"""The fire times of a trigger for the day ahead: worked out once, looked up every minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from kst_scheduler.fire_times import fire_times
from kst_scheduler.fire_times.instants import microseconds

if TYPE_CHECKING:
    import pandas as pd
    from apscheduler.triggers.base import BaseTrigger

AHEAD: Final = timedelta(days=1)


class FirePlan:
    """What one trigger does, from the first moment asked for to a day after the last."""

    def __init__(self, trigger: BaseTrigger) -> None:
        self.trigger = trigger
        self._start = self._end = 0
        self._fires: pd.DatetimeIndex
        self._none: pd.DatetimeIndex

    def between(self, start: datetime, end: datetime) -> pd.DatetimeIndex:
        """Return the fire times from ``start`` to before ``end``; none when ``end`` is earlier.

        Raises:
            InvalidArgumentError: as ``fire_times``, of a trigger with jitter, say.

        """
        end = max(start, end)
        first, last = microseconds(start), microseconds(end)
        if not self._start <= first <= last <= self._end:
            self._fires = fire_times(self.trigger, start, end + AHEAD)
            self._none = self._fires[:0]
            self._start, self._end = first, microseconds(end + AHEAD)
        low, high = self._fires.asi8.searchsorted([first, last])
        return self._fires[low:high] if low < high else self._none  # most often nothing is due
