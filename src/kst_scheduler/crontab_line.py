"""Reads the five time fields of a crontab line, by crontab's own rules.

The rules are those of crontab(5) and of Vixie cron's ``entry.c`` and ``cron.c`` (ISC cron 4.1,
the same in cronie). Forms that daemons read differently, such as ``5/15``, are refused.
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

_PART: Final = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)

_HINTS: Final = {
    r"\?": "write * for any day",
    r".+#.+": "write cron(day='2nd fri') for a place in the month",
    r"\w{0,3}l": "write cron(day='last') or cron(day='last fri') for the end of a month",
    r"\d*l?w": "write on_business_days(cron(...)) for working days",
}
"""What to write for marks that schedulers other than crontab know, by pattern."""


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
    line = expression.strip().lower()
    if line == "@reboot":
        raise InvalidArgumentError(
            "'@reboot' names no time that a trigger could fire at; call the job where the "
            "service starts"
        )
    if line.startswith("@") and line not in _SHORTHANDS:
        raise InvalidArgumentError(
            f"{expression!r} is unknown; crontab has {', '.join(_SHORTHANDS)}"
        )
    texts = _SHORTHANDS.get(line, line).split()
    if len(texts) != len(_FIELDS):
        raise InvalidArgumentError(
            f"{expression!r} has {len(texts)} fields, crontab has five: minute, hour, day of the "
            "month, month, day of the week; leave out user and command, and write "
            "cron(second=..., ...) for seconds"
        )
    return texts


def _values(field: _Field, text: str, expression: str) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        try:
            values.update(_part_values(field, part))
        except ValueError as error:
            raise InvalidArgumentError(
                f"{part!r} in {expression!r} is no {field.name} of crontab: {error}"
            ) from None
    return values


def _part_values(field: _Field, part: str) -> range:
    match = _PART.fullmatch(part)
    if not match:
        raise ValueError(_hint(field, part))
    first, last, step = match["first"], match["last"], int(match["step"] or 1)
    low = field.lowest if first is None else _number(field, first)
    high = field.highest if first is None else _number(field, last or first)
    if low > high:
        start = field.lowest + (field.names is _WEEKDAYS)  # Sunday is 7 there, and 0
        rest = f",{start}-{high}" if high >= start else ""
        raise ValueError(f"the range runs backwards; write {low}-{field.highest}{rest}")
    if first and not last and match["step"]:
        raise ValueError(f"a step needs a range; write {first}-{field.highest}/{step}")
    count = field.highest - field.lowest + 1
    if not 1 <= step <= count:
        raise ValueError(
            f"a step is 1 to {count}; for intervals that are no part of an hour or a day write "
            "every(minutes=90), say"
        )
    return range(low, high + 1, step)


def _number(field: _Field, text: str) -> int:
    if text in field.names:
        return field.lowest + field.names.index(text)
    if not text.isdecimal() or not field.lowest <= int(text) <= field.highest:
        raise ValueError(_hint(field, text))
    return int(text)


def _hint(field: _Field, text: str) -> str:
    for pattern, hint in _HINTS.items():
        if re.fullmatch(pattern, text) and field.name in {"day", "day_of_week"}:
            return hint
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
