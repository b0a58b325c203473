"""Says in a sentence when a trigger fires, and previews the next times."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import singledispatch
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timezone import KST, require_aware
from kst_scheduler.triggers.business_days import BusinessDayTrigger
from kst_scheduler.triggers.factories import ANCHOR
from kst_scheduler.triggers.phrases import (
    DAY,
    EVERY_DAY,
    MONTHS,
    WEEKDAYS,
    clock,
    clock_phrase,
    count_phrase,
    day_phrase,
    length,
    place_phrase,
    seconds_of_day,
    times_phrase,
)
from kst_scheduler.triggers.trigger_parts import nominal_fires

if TYPE_CHECKING:
    from datetime import tzinfo

    from apscheduler.triggers.base import BaseTrigger

_MIN_DAYS_OF_MONTH: Final = 28


@singledispatch
def describe(trigger: BaseTrigger) -> str:
    """Return a sentence without a full stop, such as "every weekday at 03:00 KST".

    A zone other than Korea's has its IANA name. Clock times that would need too many words are
    given field by field. An unknown kind of trigger is shown as its ``str()``.
    """
    return str(trigger)


def preview(trigger: BaseTrigger, count: int = 3, now: datetime | None = None) -> str:
    """Return what ``describe`` says and the next ``count`` fire times from ``now`` on.

    ``now`` is the present unless it is given. Jitter is not in the times: ``describe`` says it. A
    fire time shows its year where that is not the present one.

    Raises:
        InvalidArgumentError: ``count`` is not positive.
        NaiveDatetimeError: ``now`` has no zone.

    """
    if count < 1:
        raise InvalidArgumentError(f"count={count} shows no fire time; write count=3, say")
    now = datetime.now(KST) if now is None else require_aware(now, "now")
    shown = [_short(fire, now) for fire in islice(nominal_fires(trigger, now), count)]
    begun = "next: " if shown else ""
    if len(shown) < count:
        shown.append("then never again" if shown else "never again")
    return f"{describe(trigger)}, {begun}{', '.join(shown)}"


@describe.register(DateTrigger)
def _(trigger: Any) -> str:
    moment = trigger.run_date
    return f"once, on {moment.date()} at {_clock_of(moment)} {_zone_name(moment.tzinfo)}"


@describe.register(CronTrigger)
def _(trigger: Any) -> str:
    return _daily(*_days_and_times(trigger), trigger)


@describe.register(IntervalTrigger)
def _(trigger: Any) -> str:
    days, times = _days_and_times(trigger)
    if days:
        return _daily(days, times, trigger)
    start = trigger.start_date.astimezone(trigger.timezone)
    seconds, rest = divmod(trigger.interval, timedelta(seconds=1))
    every = f"{trigger.interval.total_seconds()} seconds" if rest else length(seconds)
    counted = f"counted from {WEEKDAYS[start.weekday()]} {_long(start, trigger.timezone)}"
    return f"every {every}, {counted}" + _end_and_jitter(trigger)


@describe.register(CalendarIntervalTrigger)
def _(trigger: Any) -> str:
    units = {name: getattr(trigger, name) for name in ("years", "months", "weeks", "days")}
    # "_time" is the only place of the clock time (3.11.3).
    times = f"at {clock(seconds_of_day(trigger._time))} {_zone_name(trigger.timezone)}"  # noqa: SLF001
    start = trigger.start_date
    text = f"every {count_phrase(units)} {times}, counted from {WEEKDAYS[start.weekday()]} {start}"
    same_day = not (trigger.weeks or trigger.days)
    leap_day = (start.month, start.day) == (2, 29)
    if same_day and start.day > _MIN_DAYS_OF_MONTH and (trigger.months or leap_day):
        text += f", left out where a month has no day {start.day}"
    text += f", until {trigger.end_date}" if trigger.end_date else ""
    return text + _jitter(trigger)


@describe.register(OrTrigger)
def _(trigger: Any) -> str:
    return ", or ".join(describe(part) for part in trigger.triggers) + _end_and_jitter(trigger)


@describe.register(AndTrigger)
def _(trigger: Any) -> str:
    parts = "; ".join(describe(part) for part in trigger.triggers)
    return f"whenever all of these fire: {parts}" + _end_and_jitter(trigger)


@describe.register(BusinessDayTrigger)
def _(trigger: BusinessDayTrigger) -> str:
    inner, nth = trigger.trigger, trigger.nth_of_month
    if trigger.otherwise != "skip":
        day = f"the {trigger.otherwise} Korean business day"
        return f"{describe(inner)}, moved to {day} from a day off"
    days, times = _days_and_times(inner)
    if nth is None:
        each, one = "every Korean business day", "a Korean business day"
    else:
        place = f"{place_phrase(nth)} Korean business day"
        each, one = f"on {place} of every month", f"{place} of the month"
    if days == EVERY_DAY:
        return _daily(each, times, inner)
    return f"{describe(inner)}, if that day is {one}"


def _days_and_times(trigger: Any) -> tuple[str, str]:
    """Say on which days a trigger fires, and when; nothing where it does not count by days."""
    if isinstance(trigger, CronTrigger):
        fields = {field.name: field for field in trigger.fields}
        return day_phrase(fields), clock_phrase(fields)
    if isinstance(trigger, IntervalTrigger) and trigger.timezone == KST:
        start = trigger.start_date.astimezone(trigger.timezone)
        seconds, rest = divmod(trigger.interval, timedelta(seconds=1))
        # Korea has no daylight saving, so an interval that divides a day keeps its clock times.
        if not (rest or start.microsecond or DAY % seconds):
            first = (start - ANCHOR) // timedelta(seconds=1) % seconds
            return EVERY_DAY, times_phrase(range(first, DAY, seconds))
    return "", ""


def _daily(days: str, times: str, trigger: Any) -> str:
    """Join days and clock times, and what bounds them."""
    zone = _zone_name(trigger.timezone)
    text = times
    if times.startswith("at "):
        text = f"{days} {times}"
    elif days != EVERY_DAY:
        text = f"{days}, {times}"
    text += f" {zone}" if text[-1].isdigit() else f", {zone}"
    if trigger.start_date and trigger.start_date != ANCHOR:
        text += f", from {_long(trigger.start_date, trigger.timezone)}"
    return text + _end_and_jitter(trigger)


def _end_and_jitter(trigger: Any) -> str:
    end = getattr(trigger, "end_date", None)
    text = f", until {_long(end, trigger.timezone)}" if end else ""
    return text + _jitter(trigger)


def _jitter(trigger: Any) -> str:
    return f", each up to {trigger.jitter} s late" if trigger.jitter else ""


def _long(moment: datetime, zone: tzinfo) -> str:
    local = moment.astimezone(zone)
    return f"{local.date()} {_clock_of(local)} {_zone_name(zone)}"


def _short(fire: datetime, now: datetime) -> str:
    year = "" if fire.year == now.astimezone(fire.tzinfo).year else f" {fire.year}"
    day = f"{WEEKDAYS[fire.weekday()][:3]} {fire.day} {MONTHS[fire.month - 1][:3]}"
    return f"{day}{year} {_clock_of(fire)}"


def _clock_of(moment: datetime) -> str:
    return moment.time().isoformat() if moment.microsecond else clock(seconds_of_day(moment))


def _zone_name(zone: tzinfo | None) -> str:
    return "KST" if str(zone) == "Asia/Seoul" else str(zone)
