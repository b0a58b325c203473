"""Triggers named by a string, with the checks that ``cron()`` and ``every()`` make.

``add_job(job, "cron", hour=3, second=0)`` is the same mistake as ``cron(hour=3, second=0)``.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from apscheduler.util import convert_to_datetime

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.triggers.factories import (
    ANCHOR,
    check_interval,
    check_jitter,
    check_span,
    check_whole_seconds,
    cron,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, tzinfo

    from apscheduler.triggers.base import BaseTrigger

UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds")


def named_trigger(
    name: str,
    arguments: Mapping[str, Any],
    zone: tzinfo,
    build: Callable[[str, dict[str, Any]], BaseTrigger],
) -> BaseTrigger:
    """Return the trigger that a string and its arguments name.

    Args:
        name: "cron", "interval", "date", or another one that APScheduler knows.
        arguments: of the trigger; the dates among them may be text, which is read in ``zone``.
        zone: of the trigger.
        build: makes a trigger of a name and arguments, as APScheduler does.

    Raises:
        InvalidArgumentError, NaiveDatetimeError: as ``cron()`` and ``every()`` do.
        TypeError: the trigger has no such argument.

    """
    arguments = {**arguments, "timezone": zone}
    if name == "cron":
        return cron(**{**arguments, **_dates(arguments, zone)})
    trigger = build(name, arguments)
    if name == "interval":
        _check_interval(arguments, zone)
    return trigger


def _check_interval(arguments: Mapping[str, Any], zone: tzinfo) -> None:
    interval = timedelta(**{unit: arguments.get(unit, 0) for unit in UNITS})
    if not interval:
        raise InvalidArgumentError(
            f"the trigger 'interval' has none of {', '.join(UNITS)}, so it would fire every "
            "second; write hours=1, say, or seconds=1 if you mean it"
        )
    check_interval(interval)
    dates = _dates(arguments, zone)
    check_span(dates.get("start_date"), dates.get("end_date"), "start_date")
    check_whole_seconds(interval, ANCHOR)
    check_jitter(arguments.get("jitter"))


def _dates(arguments: Mapping[str, Any], zone: tzinfo) -> dict[str, datetime]:
    """Return the dates among a trigger's arguments, read as APScheduler reads them."""
    return {
        name: convert_to_datetime(arguments[name], zone, name)
        for name in ("start_date", "end_date")
        if isinstance(arguments.get(name), str | date)
    }
