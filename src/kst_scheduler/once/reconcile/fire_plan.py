"""The fire times of a trigger for the time ahead: asked for once, looked up every minute."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.fire_times.instants import microseconds, moment_at
from kst_scheduler.fire_times.iteration import one_by_one
from kst_scheduler.fire_times.spans import require_fixed, zone_of

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

AHEAD: Final = timedelta(days=1)
MAX_AHEAD: Final = 100
"""How many fires beyond a span are asked for, at most."""
MAX_AT_ONCE: Final = 100
"""How many fires or rows are seen to before the event loop goes on: ten milliseconds or less."""


class FirePlan:
    """What one trigger does, from the first moment asked for to some time after the last.

    Times are integers: microseconds since 1970 in UTC. They are asked of the trigger one by one, as
    a replica needs few of them, and no NumPy for them.
    """

    def __init__(self, trigger: BaseTrigger) -> None:
        self.trigger = trigger
        self._zone: Any = None
        self._start = self._end = 0
        self._fires: list[int] = []

    async def between(self, start: datetime, end: datetime) -> list[int]:
        """Return the fire times from ``start`` to before ``end``; none when ``end`` is earlier.

        Raises:
            InvalidArgumentError: as ``fire_times``, of a trigger with jitter, say.

        """
        end = max(start, end)
        first, last = microseconds(start), microseconds(end)
        if self._zone is None or not self._start <= first <= last <= self._end:
            await self._ask(start, end)
        return self._fires[bisect_left(self._fires, first) : bisect_left(self._fires, last)]

    def moment(self, fire: int) -> datetime:
        """Return a fire time in the trigger's zone, or in that of the first span asked for."""
        return moment_at(fire).astimezone(self._zone)

    async def _ask(self, start: datetime, end: datetime) -> None:
        require_fixed(self.trigger)
        last, limit = microseconds(end), microseconds(end + AHEAD)
        fires, beyond = list[int](), 0
        for fire in one_by_one(self.trigger, start, limit):
            beyond += fire >= last
            if beyond > MAX_AHEAD:
                limit = fire
                break
            fires.append(fire)
            if len(fires) % MAX_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._fires = sorted(fires)
        self._zone = zone_of(self.trigger, start)
        self._start, self._end = microseconds(start), limit
