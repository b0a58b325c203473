"""What a trigger is made of: those that AndTrigger, OrTrigger and business days hold inside."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo


def parts_of(trigger: Any) -> list[Any]:
    """Return the triggers that a trigger combines or wraps, without itself."""
    inner = getattr(trigger, "trigger", None)
    return [*getattr(trigger, "triggers", ()), *([] if inner is None else [inner])]


def walk(trigger: Any) -> Iterator[Any]:
    """Yield a trigger, and then all that it is made of, however deep."""
    yield trigger
    for part in parts_of(trigger):
        yield from walk(part)


def own_zone(trigger: Any) -> tzinfo | None:
    """Return the zone of one trigger, a DateTrigger's from its date, or None."""
    run_date = getattr(trigger, "run_date", None)
    zone: tzinfo | None = getattr(trigger, "timezone", None) or (run_date and run_date.tzinfo)
    return zone


def without_jitter(trigger: Any) -> Any:
    """Return a trigger that fires at the nominal times: the same one where it has no jitter."""
    if not any(getattr(part, "jitter", None) for part in walk(trigger)):
        return trigger
    nominal = deepcopy(trigger)
    for part in walk(nominal):
        if getattr(part, "jitter", None):
            part.jitter = None
    return nominal


def nominal_fires(trigger: Any, now: datetime) -> Iterator[datetime]:
    """Yield the times from ``now`` on at which a trigger fires, without the delays of its jitter.

    Those are drawn anew each time that a trigger is called, so none of them is a fire time.
    """
    trigger = without_jitter(trigger)
    fire = trigger.get_next_fire_time(None, now)
    while fire is not None:
        if fire >= now:  # a date trigger returns its date even when that is past
            yield fire
        fire = trigger.get_next_fire_time(fire, fire)
