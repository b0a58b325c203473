"""Reads the five time fields of a crontab line, by crontab's own rules.

The rules are those of crontab(5) and of cronie's ``entry.c`` and ``cron.c`` (5f9f16b, December
2025). What it reads as something that nobody means is refused: ``sat-mon`` is no day at all there,
and ``*/90`` is the minute 0.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from kst_scheduler.errors import InvalidArgumentError


class _Field(NamedTuple):
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()
    """Three letters for each value from the lowest up."""


_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day_of_week", 0, 7, _WEEKDAYS),
)

_SHORTHANDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_FIRST: Final = {
    "minute": "0 for the first minute",
    "hour": "0 for the first hour",
    "day": "1 for the first day",
    "month": "1 for January",
    "day_of_week": "sun for Sunday",
}
"""What to write where a step leads out of its field, so that only the first value is left ..."""
_UNITS: Final = {"minute": "minutes", "hour": "hours", "day": "days", "day_of_week": "days"}
"""... and the argument of ``every`` where an interval is meant."""
_MAX_INTERVAL: Final = 9_999

_PART: Final = r"(?a:(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?)"

_DAY_HINTS: Final = {
    r"\?": "write * for any day",
    r".+#.+": "write cron(day='2nd fri') for a place in the month",
    r"l": "write cron(day='last') for the last day of a month, or "
    "on_business_days(cron(...), nth_of_month=-1) for its last business day",
    r"\w{1,3}l": "write cron(day='last') or cron(day='last fri') for the end of a month",
    r"l-\d+": "no field counts from the end of a month; write "
    "on_business_days(cron(...), nth_of_month=-2) to count business days",
    r"lw": "write on_business_days(cron(...), nth_of_month=-1) for the last business day of a "
    "month",
    r"0*(?P<day>[1-9]|[12]\d|3[01])w": "write on_business_days(cron(day={day}), "
    "otherwise='previous') for that day or the business day before, or otherwise='next' for the "
    "one after",
    r"w": "write on_business_days(cron(...)) for business days",
}
_HINTS: Final = {
    r".*~.*|h(?:\(.*\))?(?:/\d+)?": "each host draws such a time for itself; write "
    "cron(hour=3, **spread(job_id, minutes=10)), the same on every replica",
}
"""What to write for marks that not every crontab knows, by pattern; some in day fields only."""

_ZONE: Final = (
    r"(?is)(?:CRON_)?TZ\s*=\s*(?P<quote>['\"]?)(?P<zone>[^\s'\"]+)(?P=quote)\s*(?P<line>.*)"
)


def cron_fields_of(expression: str) -> list[dict[str, str]]:
    """Return the fields of one or two CronTriggers that together fire as the crontab line does.

    Two where the day of the month and the day of the week are both restricted, because then
    either of them is enough. Restricted means that the field does not begin with a star, so
    ``*/2`` is not (``entry.c``: ``if (ch == '*') e->flags |= DOM_STAR``).

    Raises:
        InvalidArgumentError: the line is not crontab's; the message says what to write.

    """
    texts = _split(expression)
    fields = {
        field.name: _written(field, _values(field, text, expression))
        for field, text in zip(_FIELDS, texts, strict=True)
    }
    _, _, day, _, day_of_week = texts
    if day.startswith("*") or day_of_week.startswith("*"):
        return [fields]
    return [fields | {"day_of_week": "*"}, fields | {"day": "*"}]


def _split(expression: str) -> list[str]:
    if not isinstance(expression, str):
        raise InvalidArgumentError(
            f"crontab takes a line of text, got {expression!r}; write crontab('0 3 * * *')"
        )
    line = expression.strip(" \t\r\n")
    if sets := zone_setting(line):
        raise InvalidArgumentError(
            f"{expression!r} sets a zone, which is no part of the five fields; write "
            f"crontab({sets['line'] or '0 3 * * *'!r}, timezone={sets['zone']!r})"
        )
    if odd := re.search(r"[^\S \t]", line):
        raise InvalidArgumentError(
            f"{expression!r} has {odd[0]!r} in it; crontab takes spaces and tabs between its "
            "fields, on one line"
        )
    if line.startswith("@"):
        line = _expanded(line)
    texts = line.split()
    if len(texts) != len(_FIELDS):
        raise InvalidArgumentError(
            f"{expression!r} has {len(texts)} fields, crontab has five: minute, hour, day of the "
            "month, month, day of the week; leave out user and command, and write "
            "cron(second=..., ...) for seconds"
        )
    return texts


def zone_setting(line: str) -> re.Match[str] | None:
    """Return the ``zone`` that a text such as "CRON_TZ=Asia/Seoul 0 3 * * *" sets, and its line."""
    return re.fullmatch(_ZONE, line)


def _expanded(shorthand: str) -> str:
    word, *command = shorthand.split()
    known = word.lower()
    if word == "@reboot":
        raise InvalidArgumentError(
            "'@reboot' names no time that a trigger could fire at; call the job where the "
            "service starts"
        )
    if known not in _SHORTHANDS:
        raise InvalidArgumentError(
            f"{shorthand!r} is unknown; crontab has {', '.join(_SHORTHANDS)}; write "
            "every(minutes=5) for an interval"
        )
    if word != known or command:
        wrong = "leave out the command" if command else "crontab knows it in small letters only"
        raise InvalidArgumentError(f"{shorthand!r}: {wrong}; write crontab({known!r})")
    return _SHORTHANDS[known]


def _values(field: _Field, text: str, expression: str) -> set[int]:
    values: set[int] = set()
    parts = text.split(",")
    for part in parts:
        try:
            values.update(_part_values(field, part.lower(), alone=len(parts) == 1))
        except ValueError as error:
            raise InvalidArgumentError(
                f"{part!r} in {expression!r} is no {field.name} of crontab: {error}"
            ) from None
    return values


def _part_values(field: _Field, part: str, *, alone: bool) -> range:
    match = re.fullmatch(_PART, part)
    if hint := _hint(field, part):
        raise ValueError(hint)
    if not match:
        raise ValueError(_takes(field))
    first, last, step = match["first"], match["last"], int(match["step"] or 1)
    low = field.lowest if first is None else _number(field, first)
    high = field.highest if first is None else _number(field, last or first)
    to_sunday = field.names is _WEEKDAYS and high == 0
    if low > high and to_sunday and not match["step"]:
        high = field.highest  # cronie's R_RANGE_NUM2; with a step it takes fri-sun for no day
    if low > high:
        start = field.lowest + (field.names is _WEEKDAYS)  # Sunday is 7 there, and 0
        rest = f",{start}-{high}" if high >= start else ""
        stepped = f"/{step}" if to_sunday else ""
        raise ValueError(f"the range runs backwards; write {low}-{field.highest}{stepped}{rest}")
    if first and not last and match["step"]:
        raise ValueError(f"a step needs a range; write {first}-{field.highest}/{step}")
    count = field.highest - field.lowest + 1
    # In a list a step that leads nowhere has its use: */100,1-7 begins with a star, so that the
    # day of the week is required as well.
    if step < 1:
        raise ValueError(f"a step is 1 to {count}")
    if alone and step > count:
        raise ValueError(f"a step is 1 to {count}; {_instead(field, low, step, first)}")
    return range(low, high + 1, step)


def _instead(field: _Field, low: int, step: int, first: str | None) -> str:
    """Say what to write in place of a step that leads out of its field."""
    unit = _UNITS.get(field.name)
    is_interval = unit and step <= _MAX_INTERVAL
    interval = f"every({unit}={step}) for an interval, or " if is_interval else ""
    alone = _FIRST[field.name] if first is None else f"{low} for the first one alone"
    return f"write {interval}{alone}"


def _number(field: _Field, text: str) -> int:
    if text in field.names:
        return field.lowest + field.names.index(text)
    if not text.isdecimal() or not field.lowest <= int(text) <= field.highest:
        raise ValueError(_takes(field))
    return int(text)


def _hint(field: _Field, part: str) -> str:
    hints = _HINTS | (_DAY_HINTS if field.name in {"day", "day_of_week"} else {})
    for pattern, hint in hints.items():
        if match := re.fullmatch(pattern, part):
            return hint.format_map(match.groupdict())
    return ""


def _takes(field: _Field) -> str:
    names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
    return f"it takes {field.lowest} to {field.highest}{names}, lists, ranges and steps"


def _written(field: _Field, values: set[int]) -> str:
    """Return the values as APScheduler reads them; weekdays by name, as its numbers differ."""
    if field.names is _WEEKDAYS:
        names = [_WEEKDAYS[day % 7] for day in range(1, 8) if {day, day % 7} & values]
        return "*" if len(names) == len(_WEEKDAYS) else ",".join(names)
    found = sorted(values)
    step = found[1] - found[0] if len(found) > 2 else 0  # noqa: PLR2004 - two are better listed
    if step and found == list(range(field.lowest, field.highest + 1, step)):
        return "*" if step == 1 else f"*/{step}"
    return ",".join(map(str, found))
