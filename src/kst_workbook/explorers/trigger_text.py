"""Reads what a reader types, a crontab line or fields of cron(...), and evaluates none of it."""

from __future__ import annotations

import ast
import difflib
import warnings
from typing import TYPE_CHECKING, Final

from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.triggers.crontab_line import zone_setting
from kst_scheduler.triggers.factories import cron, crontab

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

_MAX_LENGTH: Final = 200
_EXAMPLES: Final = "write a line of crontab, 0 3 * * 1-5, or fields, hour=3, day_of_week='mon-fri'"


def in_seoul(text: str) -> tuple[BaseTrigger, list[str]]:
    """Return the trigger that ``crontab(...)`` or ``cron(...)`` makes of a text, and its warnings.

    Raises:
        InvalidArgumentError: the text is neither; the message says what to write.

    """
    line = _checked(text)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trigger = cron(**fields_of(line)) if _has_fields(line) else crontab(line)  # type: ignore[arg-type]
    return trigger, [str(warning.message) for warning in caught]


def on_utc_host(text: str) -> CronTrigger:
    """Return the lesson's trigger for the same text, made without a zone on a host in UTC.

    There APScheduler asks the host for its zone, so the zone is UTC.

    Raises:
        InvalidArgumentError: APScheduler does not read the line, as it has no @daily, and no 7.

    """
    line = _checked(text)
    try:
        if _has_fields(line):
            return CronTrigger(**fields_of(line), timezone="UTC")
        return CronTrigger.from_crontab(line, timezone="UTC")
    except ValueError as error:
        raise InvalidArgumentError(f"APScheduler does not read {line!r}: {error}") from error


def calls(text: str) -> tuple[str, str]:
    """Return Python for both: the call that ``in_seoul`` makes, and that of ``on_utc_host``.

    Raises:
        InvalidArgumentError: the text is neither a line nor fields.

    """
    line = _checked(text)
    if _has_fields(line):
        fields = ", ".join(f"{name}={value!r}" for name, value in fields_of(line).items())
        return f"cron({fields})", f'CronTrigger({fields}, timezone="UTC")'
    return f"crontab({line!r})", f'CronTrigger.from_crontab({line!r}, timezone="UTC")'


def fields_of(line: str) -> dict[str, int | str]:
    """Return the fields that a text names, such as ``hour=3, day_of_week='mon'``.

    Raises:
        InvalidArgumentError: it is not written like that, or a name or a value is no field's.

    """
    inside = line.removeprefix("cron(").removesuffix(")") if line.startswith("cron(") else line
    try:
        call = ast.parse(f"cron({inside})", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise InvalidArgumentError(f"{line!r} cannot be read; {_EXAMPLES}")
    fields: dict[str, int | str] = {}
    for keyword in call.keywords:
        name, value = _name(keyword.arg), _value(keyword)
        if name in fields:
            raise InvalidArgumentError(f"{name} is given twice in {line!r}; write {name}='1,2'")
        fields[name] = value
    return fields


def _checked(text: str) -> str:
    line = text.strip()
    if not line or len(line) > _MAX_LENGTH or not line.isprintable():
        what = repr(line) if len(line) <= _MAX_LENGTH else f"a text of {len(line)} characters"
        raise InvalidArgumentError(f"{what} is no schedule; {_EXAMPLES}")
    return line


def _has_fields(line: str) -> bool:
    return ("=" in line and not zone_setting(line)) or line.startswith("cron(")


def _name(name: str | None) -> str:
    known = list(CronTrigger.FIELD_NAMES)
    if name in known:
        return str(name)
    near = difflib.get_close_matches(name or "", known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(known)}"
    raise InvalidArgumentError(f"{name or '**'!r} is no field of cron(); {hint}")


def _value(keyword: ast.keyword) -> int | str:
    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    if type(value) not in {int, str}:
        raise InvalidArgumentError(
            f"{ast.unparse(keyword)} has no value that cron() takes; write a number or a text in "
            f"quotes: hour=3, day_of_week='mon-fri'"
        )
    return value  # type: ignore[return-value]
