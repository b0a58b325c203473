"""The fire times of a trigger in a span, as an index of pandas or as integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.extras import require_tables
from kst_scheduler.fire_times.instants import MAX_INSTANT, microseconds
from kst_scheduler.timezone import as_zone, require_aware
from kst_scheduler.triggers.trigger_parts import own_zone, walk

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    import pandas as pd
    from apscheduler.triggers.base import BaseTrigger

    from kst_scheduler.fire_times.arrays import Instants


def fire_times(trigger: BaseTrigger, start: datetime, end: datetime) -> pd.DatetimeIndex:
    """Return every time from ``start`` to before ``end`` at which the trigger fires.

    They are what ``trigger.get_next_fire_time`` answers from ``(None, start)`` on, each answer
    being the next question's previous fire time and now; answers before ``start`` are left out
    (a date trigger answers its date even when that is past). The index has the trigger's zone and
    the unit us. ``start`` and ``end`` name instants, also in an hour that occurs twice.

    An AndTrigger fires when all of its parts do. The library agrees where it answers at all; in
    most cases it searches forever after the first fire (3.11.3).

    Raises:
        InvalidArgumentError: the trigger is no trigger, has jitter (its times are random) or
            never moves on, or ``end`` lies before ``start``.
        NaiveDatetimeError: ``start`` or ``end`` has no zone.

    """
    require_tables("fire_times()")
    import pandas as pd  # noqa: PLC0415 - slow to load

    instants = fire_timestamps(trigger, start, end)
    return pd.DatetimeIndex(instants, dtype=pd.DatetimeTZDtype("us", zone_of(trigger, start)))


def fire_timestamps(trigger: BaseTrigger, start: datetime, end: datetime) -> Instants:
    """Return the same times as integers: microseconds since 1970 in UTC.

    Raises:
        InvalidArgumentError, NaiveDatetimeError: as ``fire_times``.

    """
    require_tables("fire_times()")
    from kst_scheduler.fire_times.arrays import NONE  # noqa: PLC0415 - numpy is slow to load
    from kst_scheduler.fire_times.vector_forms import timestamps  # noqa: PLC0415 - as above

    first, last = (
        microseconds(require_aware(start, "start")),
        microseconds(require_aware(end, "end")),
    )
    if last < first:
        raise InvalidArgumentError(
            f"end={end.isoformat()} lies before start={start.isoformat()}; swap them"
        )
    require_fixed(trigger)
    return timestamps(trigger, start, min(last, MAX_INSTANT)) if first < last else NONE


def require_fixed(trigger: Any) -> None:
    """Raise InvalidArgumentError where a trigger's times are drawn at random, or it is none."""
    for part in walk(trigger):
        if not hasattr(part, "get_next_fire_time"):
            raise InvalidArgumentError(
                f"trigger={part!r} is not a trigger; write one such as cron(hour=3, minute=0)"
            )
        if jitter := getattr(part, "jitter", None):
            raise InvalidArgumentError(
                f"trigger={part!r} has jitter={jitter}, so its fire times are drawn at random; "
                "write the same trigger without jitter to see its nominal times"
            )


def zone_of(trigger: Any, start: datetime) -> tzinfo:
    """Return the zone of a trigger, or of the first part that has one; else that of ``start``."""
    zone = next(filter(None, map(own_zone, walk(trigger))), None)
    return as_zone(zone or start.tzinfo)  # type: ignore[arg-type] # it is aware
