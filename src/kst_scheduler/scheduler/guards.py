"""What KSTScheduler refuses, and what it tells its user to write instead.

APScheduler drops options it does not know, lets a trigger object keep the host's zone, and reports
a coroutine that nothing awaited as executed. Each of these is an error here, where it is written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Final

from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.triggers.combining import AndTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.errors import InvalidArgumentError, TimezoneError
from kst_scheduler.scheduler.executor import returns_awaitable
from kst_scheduler.timezone import KST, as_kst_call, as_zone, require_aware
from kst_scheduler.triggers.trigger_parts import own_zone, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from apscheduler.executors.base import BaseExecutor
    from apscheduler.triggers.base import BaseTrigger

JOB_DEFAULT_NAMES: Final = ("max_instances", "coalesce", "misfire_grace_time", "replace_existing")
OPTION_NAMES: Final = (
    "timezone",
    "job_defaults",
    "executors",
    "jobstores",
    "logger",
    "jobstore_retry_interval",
    "event_loop",
)
"""What APScheduler 3.11.3 reads in BaseScheduler._configure and AsyncIOScheduler._configure."""


MAX_COMPARED: Final = 100
"""Characters of a name that are compared with those of others."""
MAX_NEIGHBOURS: Final = 20
"""Names that are compared, of those with the same beginning, and of those with the same end."""
MAX_SHOWN: Final = 50
"""Names in a message that lists all of them."""


def check_options(config: Mapping[str, Any]) -> None:
    """Refuse an option that APScheduler would drop without a word.

    Raises:
        InvalidArgumentError: an unknown option, or an unknown key in ``job_defaults``.

    """
    for name, value in config.items():
        if name in JOB_DEFAULT_NAMES:
            raise InvalidArgumentError(
                f"{name}={value!r} is a default for jobs, which a scheduler ignores as an option; "
                f"write job_defaults={{{name!r}: {value!r}}}"
            )
        if name not in OPTION_NAMES:
            raise InvalidArgumentError(
                f"a scheduler has no option {name!r}{nearest(name, OPTION_NAMES)}"
            )
    job_defaults = config.get("job_defaults", {})
    if not isinstance(job_defaults, Mapping):
        raise InvalidArgumentError(
            f"job_defaults={job_defaults!r} is not a dict; write job_defaults={{'coalesce': True}}"
        )
    for name in job_defaults:
        if name not in JOB_DEFAULT_NAMES:
            raise InvalidArgumentError(
                f"job_defaults has an unknown key {name!r}{nearest(name, JOB_DEFAULT_NAMES)}"
            )


def nearest(name: object, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest one known, or all of them.

    Its time is bounded: of many names, those with the same beginning or end are compared.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only here

    known, wanted = sorted(known), str(name)
    begins = {each[:MAX_COMPARED]: each for each in _alike(wanted, known)}
    found = get_close_matches(wanted[:MAX_COMPARED], begins, n=1)
    if found:
        return f"; did you mean {begins[found[0]]!r}?"
    more = f" and {len(known) - MAX_SHOWN:,} more" if len(known) > MAX_SHOWN else ""
    return f"; it knows {', '.join(known[:MAX_SHOWN]) or 'none'}{more}"


def _alike(name: str, known: list[str]) -> list[str]:
    """Return the neighbours of a name in the order of the names, and of the names reversed."""
    if len(known) <= 2 * MAX_NEIGHBOURS:
        return known
    backward, name_backward = sorted(each[::-1] for each in known), name[: -MAX_COMPARED - 1 : -1]
    return [
        *_around(bisect_left(known, name), known),
        *(each[::-1] for each in _around(bisect_left(backward, name_backward), backward)),
    ]


def _around(index: int, names: list[str]) -> list[str]:
    return names[max(index - MAX_NEIGHBOURS // 2, 0) :][:MAX_NEIGHBOURS]


def check_awaited(
    job_name: str, function: Callable[..., object], alias: str, executor: BaseExecutor | None
) -> None:
    """Refuse a coroutine job on an executor that would call it and never await it.

    Raises:
        InvalidArgumentError: it would be reported as executed, without having run.

    """
    if isinstance(executor, BasePoolExecutor | DebugExecutor) and returns_awaitable(function):
        raise InvalidArgumentError(
            f"job {job_name!r} is a coroutine function, which executor={alias!r}, a "
            f"{type(executor).__name__}, would call and never await, and report as executed; "
            "leave executor= out, or make the job a plain function"
        )


def check_moments(arguments: Mapping[str, object]) -> None:
    """Refuse a naive datetime among the arguments of a job or of its trigger.

    Raises:
        NaiveDatetimeError: the message names the argument.

    """
    for name, value in arguments.items():
        if isinstance(value, datetime):
            require_aware(value, name)


def check_trigger_arguments(arguments: Mapping[str, object], zone: tzinfo) -> None:
    """Refuse what a trigger named by a string may not be given: naive dates, and another zone.

    Raises:
        NaiveDatetimeError: a date has no zone.
        TimezoneError: ``timezone`` is not the zone that is expected.

    """
    check_moments(arguments)
    named = arguments.get("timezone")
    if named is None:
        return
    if not isinstance(named, str | tzinfo) or not _is_same_zone(as_zone(named), zone):
        raise TimezoneError(
            f"timezone={str(named)!r} is not the zone of this scheduler, {str(zone)!r}; leave it "
            f"out, or write allow_timezone={str(named)!r} in its place if that zone is meant"
        )


def check_trigger(trigger: BaseTrigger, zone: tzinfo) -> None:
    """Refuse a trigger object, or one inside it, whose zone is not the one that is expected.

    A trigger without a zone of its own passes. A DateTrigger has only its ``run_date``, so it
    passes where a clock in ``zone`` shows the same, and where it has an offset in place of a
    zone, as those of ``at()`` have: that is no host's.

    Raises:
        InvalidArgumentError: an AndTrigger of several, which may search for ever.
        NaiveDatetimeError: a date has local mean time, from a pytz zone passed as ``tzinfo=``.
        TimezoneError: the message says when the trigger would fire, and what to write.

    """
    for part in walk(trigger):
        _check_ends(part)
        dates = ("run_date", "start_date", "end_date")
        check_moments({name: getattr(part, name, None) for name in dates})
        run_date = part.run_date if isinstance(part, DateTrigger) else None
        found = own_zone(part)
        if found is None or _is_same_zone(found, zone):
            continue
        if run_date and (
            isinstance(run_date.tzinfo, timezone)
            or run_date.utcoffset() == run_date.astimezone(zone).utcoffset()
        ):
            continue
        raise TimezoneError(_foreign(part, found, zone))


def _check_ends(trigger: BaseTrigger) -> None:
    """Refuse an AndTrigger of several: where they disagree, 3.11.3 never ends its second search."""
    if isinstance(trigger, AndTrigger) and len(trigger.triggers) > 1:
        raise InvalidArgumentError(
            f"{trigger} may search for ever after its first fire, and the scheduler with it; "
            "write one trigger that says both, such as cron(day_of_week='mon', hour=3), or "
            "on_business_days(cron(hour=3))"
        )


def _is_same_zone(zone: tzinfo, other: tzinfo) -> bool:
    # A zone of zoneinfo or of pytz is its name; so is datetime.timezone.utc, which is "UTC".
    return str(zone) == str(other)


def _foreign(trigger: BaseTrigger, found: tzinfo, zone: tzinfo) -> str:
    message = f"{trigger} is in the zone {str(found)!r}, and this scheduler keeps {str(zone)!r}: "
    fire = trigger.get_next_fire_time(None, datetime.now(found))
    if fire:
        message += f"it would fire next at {_shown(fire, zone)}, which is {_shown(fire, found)}. "
    message += (
        "A trigger object takes the host's zone when it is built without one; write "
        f"{_repaired(trigger, zone)}, or add allow_timezone={str(found)!r} if that zone is meant"
    )
    if isinstance(trigger, DateTrigger) and _is_same_zone(zone, KST):
        message += f": that is at({as_kst_call(trigger.run_date.astimezone(KST), min_parts=4)})"
    return message


def _shown(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def _repaired(trigger: BaseTrigger, zone: tzinfo) -> str:
    """Return what to write instead of a trigger: with this package's functions if zone is KST."""
    name = type(trigger).__name__
    if not _is_same_zone(zone, KST) or not isinstance(
        trigger, CronTrigger | IntervalTrigger | DateTrigger
    ):
        return f"{name}(..., timezone={str(zone)!r})"
    if isinstance(trigger, CronTrigger):
        fields = [field for field in trigger.fields if not field.is_default]
        values = [f"{f.name}={int(str(f)) if str(f).isdigit() else str(f)!r}" for f in fields]
        return f"cron({', '.join(values)})"
    if isinstance(trigger, DateTrigger):
        return f"at({as_kst_call(trigger.run_date, min_parts=4)})"  # a date and its hour
    return f"every({_interval(trigger.interval)})"


def _interval(interval: timedelta) -> str:
    for unit in ("weeks", "days", "hours", "minutes"):
        count, rest = divmod(interval, timedelta(**{unit: 1}))
        if count and not rest:
            return f"{unit}={count}"
    return f"seconds={interval.total_seconds():g}"
