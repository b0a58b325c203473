"""APScheduler's own triggers, built so that they always carry a zone.

A trigger object that is given no zone takes the host's, whatever the scheduler keeps: that is how
a 03:00 job comes to run at noon. Here the zone is Korean unless another one is named.

An AndTrigger is not offered. Of two cron triggers that disagree now and then it answers the first
fire and then searches forever (apscheduler/triggers/combining.py, 3.11.3). Put both conditions
into one ``cron`` instead: its fields are all required together.
"""

from __future__ import annotations

import warnings
from datetime import timedelta
from math import prod
from typing import TYPE_CHECKING, Final

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.caller import stack_level
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timezone import KST, as_zone, kst, require_aware, with_fixed_offset
from kst_scheduler.triggers.cron_fields import CLOCK_FIELDS, can_fire, check_field, values, written
from kst_scheduler.triggers.crontab_line import cron_fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, tzinfo

ANCHOR: Final = kst(2001, 1, 1)
"""The midnight that ``every`` counts from: a Monday, so weekly jobs fire on Mondays."""


class TriggerWarning(UserWarning):
    """Warns of a trigger that is valid and probably does not do what its writer meant."""


def cron(
    *,
    year: int | str | None = None,
    month: int | str | None = None,
    day: int | str | None = None,
    week: int | str | None = None,
    day_of_week: int | str | None = None,
    hour: int | str | None = None,
    minute: int | str | None = None,
    second: int | str | None = None,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    timezone: str | tzinfo = KST,
    jitter: int | None = None,
) -> CronTrigger:
    """Return a CronTrigger that fires when a clock in ``timezone`` matches every given field.

    A field that is left out is ``*`` if it is larger than the smallest given one, and its lowest
    value if it is smaller: ``cron(hour=3)`` is every day at 03:00:00. All fields must match:
    ``day="1-7", day_of_week="mon"`` is the first Monday of a month, where crontab would fire on the
    first seven days and on all Mondays. Write weekdays as names: 0 is Monday here, and Sunday in
    crontab (see ``crontab``).

    ``start_date`` and ``end_date`` are aware and inclusive. ``jitter`` delays each run by a random
    time of up to that many seconds, so replicas no longer agree on the due time.

    Raises:
        InvalidArgumentError: no field is given, a value is not understood, or no date can match.
        NaiveDatetimeError: ``start_date`` or ``end_date`` has no zone.
        TimezoneError: the zone is unknown.

    Warns:
        TriggerWarning: hour or minute is left out between two given fields, so the trigger fires
            many times. Write ``minute="*"`` if that is meant.

    """
    arguments = locals()
    fields = {
        name: arguments[name] for name in CronTrigger.FIELD_NAMES if arguments[name] is not None
    }
    if not fields:
        raise InvalidArgumentError(
            "cron() has no field, so it would fire every second; "
            "write cron(hour=3, minute=0) for 03:00, or cron(second='*') if you mean it"
        )
    for name, value in fields.items():
        check_field(name, value)
    check_span(start_date, end_date, "start_date")
    check_jitter(jitter)
    trigger = CronTrigger(
        **fields,
        start_date=start_date,
        end_date=end_date,
        timezone=as_zone(timezone),
        jitter=jitter,
    )
    if not can_fire(trigger):
        raise InvalidArgumentError(
            f"{written(fields)} never fires: no date in any year matches all of its fields; "
            "change one of them (day='last' is a month's end)"
        )
    _warn_of_open_field(trigger, fields)
    return trigger


def every(
    *,
    weeks: int = 0,
    days: int = 0,
    hours: int = 0,
    minutes: int = 0,
    seconds: int = 0,
    anchor: datetime = ANCHOR,
    end_date: datetime | None = None,
    timezone: str | tzinfo = KST,
) -> IntervalTrigger:
    """Return an IntervalTrigger that fires at whole intervals from ``anchor``, and not before it.

    By default APScheduler counts from the moment at which the trigger is created, so each replica
    and each restart has other fire times. This one counts from a fixed midnight, 2001-01-01 KST:
    ``every(hours=6)`` fires at 00:00, 06:00, 12:00 and 18:00 KST on every replica. An interval that
    does not divide a day, such as 5 hours, fires at different times each day, and still at the same
    times on every replica. It counts elapsed time: in a zone with daylight saving its clock time
    moves by an hour.

    There is no jitter: an IntervalTrigger counts from the previous, delayed run, so the delays
    would add up. To spread jobs, shift ``anchor``.

    Raises:
        InvalidArgumentError: the interval is zero, negative or not in whole seconds (an occurrence
            is identified by its second), or ``end_date`` lies before ``anchor``.
        NaiveDatetimeError: ``anchor`` or ``end_date`` has no zone.
        TimezoneError: the zone is unknown.

    """
    interval = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    check_interval(interval)
    check_span(anchor, end_date, "anchor")
    check_whole_seconds(interval, anchor)
    zone = as_zone(timezone)
    return IntervalTrigger(
        seconds=interval.total_seconds(),
        start_date=anchor.astimezone(zone),
        end_date=end_date,
        timezone=zone,
    )


def at(moment: datetime) -> DateTrigger:
    """Return a DateTrigger that fires once, at ``moment``, in whatever zone it is written.

    One in another zone than Korea's keeps its offset and the zone's short name: of a DateTrigger
    in the zone ``America/New_York``, KSTScheduler could not tell whether it was meant, or is the
    host's zone.

    Raises:
        NaiveDatetimeError: ``moment`` has no zone, or a pytz zone was passed as ``tzinfo=``.

    """
    require_aware(moment, "moment")
    if str(moment.tzinfo) != str(KST):
        moment = with_fixed_offset(moment)
    # The zone is for naive dates only; without one APScheduler would ask the host for its own.
    return DateTrigger(run_date=moment, timezone=KST)


def crontab(expression: str, timezone: str | tzinfo = KST) -> CronTrigger | OrTrigger:
    """Return a trigger that fires when the cron daemon would run the line.

    ``expression`` is five fields (minute, hour, day of the month, month, day of the week) with
    lists, ranges, steps and English names, or one of @yearly, @annually, @monthly, @weekly,
    @daily, @midnight and @hourly. Unlike in ``CronTrigger.from_crontab``, 0 and 7 are Sunday.

    If one of the two day fields begins with a star, a day must match both. Otherwise it must match
    only one of them, and the result is an OrTrigger; each time fires once. This is the rule of
    crontab(5). In a zone with daylight saving, APScheduler's rules apply when the clock changes.

    Raises:
        InvalidArgumentError: the line is not valid in a crontab, or no date can match.
        TimezoneError: the zone is unknown.

    """
    zone = as_zone(timezone)
    triggers = [CronTrigger(**fields, timezone=zone) for fields in cron_fields_of(expression)]
    able = [trigger for trigger in triggers if can_fire(trigger)]
    if not able:
        raise InvalidArgumentError(
            f"crontab({expression!r}) never fires: its month has no such day; change one of them"
        )
    return able[0] if len(able) == 1 else OrTrigger(able)


def check_interval(interval: timedelta) -> None:
    """Refuse an interval that leads nowhere.

    Raises:
        InvalidArgumentError: it is zero or negative.

    """
    if interval <= timedelta(0):
        raise InvalidArgumentError(
            f"every() has the interval {interval.total_seconds():g} s, so it would never move on; "
            "write a positive one such as every(hours=1)"
        )


def check_whole_seconds(interval: timedelta, anchor: datetime) -> None:
    """Refuse an interval of less than seconds, or from a part of one.

    Raises:
        InvalidArgumentError: two runs would have one whole second, and be one occurrence.

    """
    if interval.microseconds or anchor.microsecond:
        raise InvalidArgumentError(
            f"every() needs whole seconds, got an interval of {interval.total_seconds()} s from "
            f"{anchor.isoformat()}; two runs in one second would count as the same occurrence"
        )


def check_jitter(jitter: int | None) -> None:
    """Refuse a delay of less than nothing.

    Raises:
        InvalidArgumentError: it is negative.

    """
    if jitter is not None and jitter < 0:
        raise InvalidArgumentError(
            f"jitter={jitter} would run the job before its time; write the seconds of the longest "
            "delay, such as jitter=30"
        )


def _warn_of_open_field(trigger: CronTrigger, fields: Mapping[str, int | str]) -> None:
    names = list(CronTrigger.FIELD_NAMES)
    places = sorted(names.index(name) for name in fields)
    between = names[places[0] : places[-1]]
    left_open = [name for name in between if name in CLOCK_FIELDS and name not in fields]
    if not left_open:
        return
    unit = "a day" if "hour" in left_open else "an hour"
    counted = CLOCK_FIELDS[0 if "hour" in left_open else 1 :]
    fires = prod(len(values(field)) for field in trigger.fields if field.name in counted)
    repair, meant = (", ".join(f"{name}={value}" for name in left_open) for value in (0, "'*'"))
    warnings.warn(
        f"{written(fields)} leaves {' and '.join(left_open)} open, so it fires {fires} times "
        f"{unit}; write {repair}, or {meant} if you mean it",
        TriggerWarning,
        stacklevel=stack_level(),
    )


def check_span(start: datetime | None, end: datetime | None, start_name: str) -> None:
    """Refuse naive dates, and an end before the start.

    Raises:
        InvalidArgumentError: the trigger would never fire.
        NaiveDatetimeError: one of them has no zone.

    """
    if start is not None:
        require_aware(start, start_name)
    if end is not None:
        require_aware(end, "end_date")
    if start is not None and end is not None and end < start:
        raise InvalidArgumentError(
            f"end_date={end.isoformat()} lies before {start_name}={start.isoformat()}, "
            "so the trigger would never fire; swap them or leave one out"
        )
