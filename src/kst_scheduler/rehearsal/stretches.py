"""A job that is due very often is rehearsed for a stretch of each night: where things go wrong."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.combining import BaseCombiningTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.fire_times.instants import MICROSECOND, microseconds, moment_at
from kst_scheduler.fire_times.iteration import successive_fires
from kst_scheduler.rehearsal.nights import DAY
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.trigger_parts import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from kst_scheduler.rehearsal.nights import Trouble

Stretch = tuple[int, int]
"""From when, and to when, in microseconds since 1970 in UTC."""

MAX_FIRES: Final = 100
"""In a night, of a job that is rehearsed for the whole of it."""
BEFORE: Final = timedelta(minutes=12)
"""A wrong clock begins ten minutes before the fire."""
AFTER: Final = timedelta(minutes=15)
"""Time for what goes wrong, and for the runs that are caught up then."""


def is_due_often(trigger: Any, start: datetime, nights: int) -> bool:
    """Tell whether a trigger has a night with more fires than are rehearsed."""
    # Others have few fires, or do not answer alike from another moment on.
    if not all(
        isinstance(each, CronTrigger | IntervalTrigger | OrTrigger) for each in walk(trigger)
    ):
        return False
    if trigger.get_next_fire_time(None, start) is None:  # found out once, for it takes long
        return False
    begins = (start + number * DAY for number in range(nights))
    return any(_fires_within(trigger, begin, begin + DAY) > MAX_FIRES for begin in begins)


def _fires_within(trigger: Any, begin: datetime, end: datetime) -> int:
    """Return how many fires a span has, and no more than one too many."""
    fires = islice(successive_fires(trigger, begin), MAX_FIRES + 1)
    return sum(1 for _ in takewhile(lambda fire: fire < end, fires))


def stretches_of(
    fires: Iterable[int | None], seconds: float, troubles: Iterable[Trouble]
) -> list[Stretch]:
    """Return the stretches of a job.

    Args:
        fires: its first fire in each night, around which things go wrong.
        seconds: how long it lasts; things go wrong at its end, too.
        troubles: those that are planned for a time of day.

    """
    before, after = BEFORE // MICROSECOND, AFTER // MICROSECOND
    lasts = round(seconds * 1_000_000)
    found = [(fire, fire + lasts) for fire in fires if fire is not None]
    found += [(microseconds(each.at), microseconds(each.end)) for each in troubles]
    return sorted((begin - before, end + after) for begin, end in found)


class Stretched(BaseCombiningTrigger):  # type: ignore[misc] # the library is untyped
    """Fires when its trigger does, within stretches of time.

    Args:
        trigger: an interval, a cron trigger, or an OrTrigger of these.
        stretches: in the order in which they begin.

    """

    __slots__ = ("stretches",)

    def __init__(self, trigger: Any, stretches: Sequence[Stretch]) -> None:
        super().__init__([trigger])
        self.stretches = list(stretches)

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """Return the next fire of the trigger that is in a stretch."""
        (trigger,) = self.triggers
        fire: datetime | None = trigger.get_next_fire_time(previous_fire_time, now)
        for begin, end in self.stretches:
            if fire is not None and microseconds(fire) < begin:
                fire = trigger.get_next_fire_time(None, moment_at(begin).astimezone(KST))
            if fire is None or microseconds(fire) < end:
                return fire
        return None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a job store keeps."""
        return {**super().__getstate__(), "stretches": self.stretches}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become what a job store has kept."""
        super().__setstate__(state)
        self.stretches = state["stretches"]


def unstretched(trigger: Any) -> Any:
    """Return a trigger as the reader has written it."""
    return trigger.triggers[0] if isinstance(trigger, Stretched) else trigger
