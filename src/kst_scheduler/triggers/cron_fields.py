"""What the fields of a CronTrigger match, asked of APScheduler's own field objects.

A field matches a moment when the next value that it offers is the value that the moment has
(``get_value`` and ``get_next_value``, apscheduler/triggers/cron/fields.py, 3.11.3).
"""

from __future__ import annotations

from calendar import isleap
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLOCK_FIELDS: Final = ("hour", "minute", "second")

_TAKES: Final = {
    "year": "1970 to 9999",
    "month": "1 to 12 or jan to dec",
    "day": "1 to 31, 'last', or a place in the month such as '2nd fri'",
    "week": "the ISO weeks 1 to 53",
    "day_of_week": "mon to sun, or 0 to 6 where 0 is Monday",
    "hour": "0 to 23",
    "minute": "0 to 59",
    "second": "0 to 59",
}

_MONDAY: Final = datetime(2001, 1, 1)  # noqa: DTZ001 - a calendar has no zone
# One moment for each value that a field can have, the year left out.
_MOMENTS: Final = {
    "month": [_MONDAY.replace(month=month) for month in range(1, 13)],
    "day": [_MONDAY.replace(day=day) for day in range(1, 32)],
    "week": [datetime.fromisocalendar(2020, week, 1) for week in range(1, 54)],
    "day_of_week": [_MONDAY.replace(day=day) for day in range(1, 8)],
    "hour": [_MONDAY.replace(hour=hour) for hour in range(24)],
    "minute": [_MONDAY.replace(minute=minute) for minute in range(60)],
    "second": [_MONDAY.replace(second=second) for second in range(60)],
}
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9999
_CALENDAR_REPEATS: Final = 400
"""Years after which dates, weekdays and ISO weeks of the Gregorian calendar repeat."""


def check_field(name: str, value: int | str) -> None:
    """Refuse a value that a field does not take, or would read in part only.

    Raises:
        InvalidArgumentError: with the values that the field takes.

    """
    # One field at a time, because APScheduler's message does not always name it. Some of its
    # patterns have no end (3.11.3): 'mon-fri/2' is read as 'mon-fri', '1st mon-fri' as '1st mon'.
    try:
        field = CronTrigger.FIELDS_MAP[name](name, value)
    except ValueError as error:
        reason = str(error)
    else:
        unread = [part for part in str(value).split(",") if not _read_whole(field, part.strip())]
        reason = f"the end of {unread[0]!r} would be ignored" if unread else ""
    if reason:
        raise InvalidArgumentError(
            f"cron({name}={value!r}) is not understood: {reason}; {name} takes {_TAKES[name]}, "
            "numbers also as a list '1,3', a forward range '1-5' or a step '*/2'"
        )


def _read_whole(field: Any, part: str) -> bool:
    return any(compiler.value_re.fullmatch(part) for compiler in field.COMPILERS)


def written(fields: Mapping[str, int | str]) -> str:
    """Return the call to ``cron`` that gives these fields, for a message."""
    return f"cron({', '.join(f'{name}={value!r}' for name, value in fields.items())})"


def matches(field: Any, moment: datetime) -> bool:
    """Say whether one field of a CronTrigger matches ``moment``."""
    return bool(field.get_next_value(moment) == field.get_value(moment))


def values(field: Any) -> list[int]:
    """Return the values that a field matches, in ascending order.

    ``day`` is judged in a month of 31 days that begins on a Monday, so 'last' is 31 there.
    """
    return [field.get_value(moment) for moment in _MOMENTS[field.name] if matches(field, moment)]


def can_fire(trigger: CronTrigger) -> bool:
    """Say whether any date matches; a trigger that has none searches to the year 9999."""
    year, *fields = [field for field in trigger.fields if field.name not in CLOCK_FIELDS]
    return any(
        all(matches(field, day) for field in fields)
        for distinct_year in _distinct_years(year)
        for day in _days(distinct_year)
    )


def _distinct_years(field: Any) -> Iterator[int]:
    """Yield one matching year of each shape: all that decides its dates, weekdays and ISO weeks."""
    last_year = _FIRST_YEAR + _CALENDAR_REPEATS if str(field) == "*" else _LAST_YEAR
    seen = set()
    for year in range(_FIRST_YEAR, last_year + 1):
        january = _MONDAY.replace(year=year)
        # The year before decides whether the first days of January lie in week 52 or 53.
        shape = (january.weekday(), isleap(year), isleap(year - 1))
        if shape not in seen and matches(field, january):
            seen.add(shape)
            yield year


def _days(year: int) -> Iterator[datetime]:
    january = _MONDAY.replace(year=year)
    return (january + timedelta(days=day) for day in range(365 + isleap(year)))
