"""What a trigger is made of: those that AndTrigger, OrTrigger and business days hold inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo


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
