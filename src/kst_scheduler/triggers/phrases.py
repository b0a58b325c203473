"""Parts of the sentences that tell when a trigger fires: days, clock times, lengths of time.

Names of days and months are English whatever the host's locale is.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.triggers.cron_fields import CLOCK_FIELDS, values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, time

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MONDAY_TO_FRIDAY: Final = [0, 1, 2, 3, 4]

EVERY_DAY: Final = "every day"
HOUR: Final = 3_600
DAY: Final = 24 * HOUR
_MINUTES: Final = 60
_UNITS: Final = {"week": 7 * DAY, "day": DAY, "hour": HOUR, "minute": 60, "second": 1}

_MAX_LISTED: Final = 6
"""More clock times than these are said as a step, where they are one."""
_MIN_RANGE: Final = 3


def day_phrase(fields: Mapping[str, Any]) -> str:
    """Say on which days the fields of a CronTrigger match, such as "every weekday"."""
    weekdays, months = values(fields["day_of_week"]), values(fields["month"])
    days = _days_of_month(fields["day"])
    in_months = f"in {_ranges(months, ('', *MONTHS))}" if len(months) < len(MONTHS) else ""
    if len(weekdays) == len(WEEKDAYS):
        phrase = f"on {days} of" if days else EVERY_DAY
        in_months = in_months.removeprefix("in ") or "every month" if days else in_months
    else:
        workdays = weekdays == _MONDAY_TO_FRIDAY
        phrase = f"every {'weekday' if workdays else _ranges(weekdays, WEEKDAYS)}"
        phrase += f" that is {days.replace('days', 'day')} of the month" if days else ""
    week = "" if str(fields["week"]) == "*" else f"in ISO week {fields['week']}"
    year = "" if str(fields["year"]) == "*" else f"in the year {fields['year']}"
    return " ".join(part for part in (phrase, in_months, week, year) if part)


def clock_phrase(fields: Mapping[str, Any]) -> str:
    """Say at which clock times the fields of a CronTrigger match, such as "at 03:00"."""
    hours, minutes, seconds = (values(fields[name]) for name in CLOCK_FIELDS)
    within = [60 * minute + second for minute in minutes for second in seconds]
    phrase = times_phrase([HOUR * hour + time for hour in hours for time in within])
    if phrase:
        return phrase
    if HOUR * len(hours) == DAY and len(within) <= _MAX_LISTED:
        return f"every hour at {_listed(_marks(within))}"
    # A step begins anew in each hour or minute, so these say where it does.
    return (
        _within_each_hour(hours, within)
        or (len(minutes) == _MINUTES and _within_each_minute(hours, seconds))
        or f"at ({', '.join(f'{name}={fields[name]}' for name in CLOCK_FIELDS)})"
    )


def _within_each_hour(hours: Sequence[int], within: Sequence[int]) -> str:
    marks = _marks(within)
    if len(marks) <= _MAX_LISTED:
        return f"at {_listed(marks)} {_of_hours(hours)}"
    if step := _step(within):
        return f"every {length(step)} from {marks[0]} to {marks[-1]} {_of_hours(hours)}"
    return ""


def _within_each_minute(hours: Sequence[int], seconds: Sequence[int]) -> str:
    all_day = HOUR * len(hours) == DAY
    minutes = "of every minute" if all_day else f"of every minute {_of_hours(hours)}"
    if len(seconds) <= _MAX_LISTED:
        return f"at seconds {_listed([*map(str, seconds)])} {minutes}"
    if step := _step(seconds):
        return f"every {length(step)} from second {seconds[0]} to {seconds[-1]} {minutes}"
    return ""


def _marks(within: Sequence[int]) -> list[str]:
    """Show seconds after the full hour as the end of a clock time, such as ":05"."""
    return [f":{clock(time)[3:]}" for time in within]


def _of_hours(hours: Sequence[int]) -> str:
    if HOUR * len(hours) == DAY:
        return "of every hour"
    return f"of the hour{'s' if len(hours) > 1 else ''} {_ranges(hours, range(24))}"


def _step(numbers: Sequence[int]) -> int:
    """Return the distance of two or more numbers that are equally far apart, else 0."""
    steps = {later - number for number, later in pairwise(numbers)}
    return steps.pop() if len(steps) == 1 else 0


def times_phrase(times: Sequence[int]) -> str:
    """Say the clock times of a day, in seconds after midnight; nothing where no few words do."""
    if len(times) <= _MAX_LISTED:
        return f"at {_listed([clock(time) for time in times])}"
    step = _step(times)
    if not step:
        return ""
    whole_day = DAY - times[-1] + times[0] == step
    if whole_day and step == HOUR:
        return f"every hour at :{clock(times[0])[3:]}" if times[0] else "every hour, on the hour"
    if whole_day and not times[0]:
        return f"every {length(step)}"
    return f"every {length(step)} from {clock(times[0])} to {clock(times[-1])}"


def length(seconds: int) -> str:
    """Say a length of time in the largest unit that it is a multiple of: "minute", "90 minutes"."""
    unit, size = next((unit, size) for unit, size in _UNITS.items() if seconds % size == 0)
    count = seconds // size
    return unit if count == 1 else f"{count} {unit}s"


def count_phrase(counts: Mapping[str, int]) -> str:
    """Say counts of units by the units' plural names: "month", "2 years and 1 month"."""
    said = [
        f"{count} {unit.removesuffix('s') if count == 1 else unit}"
        for unit, count in counts.items()
        if count
    ]
    return _listed(said).removeprefix("1 ") if len(said) == 1 else _listed(said)


def clock(seconds: int) -> str:
    """Show seconds after midnight as a clock does, the seconds only where there are some."""
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


def seconds_of_day(moment: datetime | time) -> int:
    """Return the seconds that a clock shows after midnight."""
    return HOUR * moment.hour + 60 * moment.minute + moment.second


def place_phrase(nth: int) -> str:
    """Say a place in a row, from its end where it is negative: "the 2nd", "the 2nd to last"."""
    if nth == -1:
        return "the last"
    place = abs(nth)
    teens = place % 100 in range(11, 14)
    suffix = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"the {place}{suffix}" + (" to last" if nth < 0 else "")


def _days_of_month(field: Any) -> str:
    parts = str(field).split(",")
    if any(part[-1].isalpha() for part in parts):
        return _listed([_day_in_words(part) for part in parts])
    days = values(field)
    if len(days) == 31:  # noqa: PLR2004 - as many as the longest month has
        return ""
    return ("day " if len(days) == 1 else "days ") + _ranges(days, range(32))


def _day_in_words(part: str) -> str:
    if part == "last":
        return "the last day"
    place, _, weekday = part.partition(" ")
    names = {name[:3].lower(): name for name in WEEKDAYS}
    return f"the {place} {names[weekday]}" if weekday else f"day {part}"


def _ranges(numbers: Sequence[int], names: Sequence[object]) -> str:
    """Name the numbers, with three or more in a row as "Monday to Thursday"."""
    named: list[str] = []
    # Numbers in a row differ from their places by the same amount.
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        row = [names[number] for _, number in group]
        together = len(row) >= _MIN_RANGE
        named += [f"{row[0]} to {row[-1]}"] if together else map(str, row)
    return _listed(named)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
