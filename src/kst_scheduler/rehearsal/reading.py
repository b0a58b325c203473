"""What only the source of a service shows, found in its syntax tree."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_scheduler.rehearsal.functions import FunctionReader, Functions, Seen
from kst_scheduler.rehearsal.place import Place
from kst_scheduler.rehearsal.syntax import imported_names, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY_FIELD: Final = 4
"""The place of the weekday in a crontab line."""

WEEK: Final = 7
_DAYS: Final = re.compile(r"(\d)(?:-(\d))?(?:/(\d))?")


@dataclass
class Reading:
    """What was read in the files of a service."""

    functions: Functions = field(default_factory=Functions)
    crontabs: list[Seen] = field(default_factory=list)
    """``from_crontab`` with a weekday that is a number; the text is the line."""
    modified: list[Seen] = field(default_factory=list)
    """``modify(next_run_time=...)``."""


def read(files: Iterable[str]) -> Reading:
    """Read the files of a service; one that cannot be parsed shows nothing."""
    reading = Reading()
    for file in files:
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        reading.functions.add(FunctionReader(file, tree).read())
        _read_calls(file, tree, reading)
    return reading


def _read_calls(file: str, tree: ast.Module, reading: Reading) -> None:
    """Find the calls that mean something wherever they stand."""
    imported = imported_names(tree)
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name, place = name_of(call, imported), Place(file, call.lineno)
        last = name.rpartition(".")[2]
        line = _text(call.args[0]) if call.args else ""
        if last == "from_crontab" and _has_another_day(line.split()):
            reading.crontabs.append(Seen(place, line))
        elif last in {"modify", "modify_job"} and _sets_next_run_time(call) and _is_job(name):
            reading.modified.append(Seen(place, name))


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _sets_next_run_time(call: ast.Call) -> bool:
    """Tell whether a call moves the next run; None would pause the job."""
    return any(
        each.arg == "next_run_time"
        and not (isinstance(each.value, ast.Constant) and each.value.value is None)
        for each in call.keywords
    )


def _is_job(name: str) -> bool:
    """Tell whether what is modified may be a job: it says so, or it is what a call returned."""
    owner = name.rpartition(".")[0].lower()
    return not owner or "job" in owner or "sched" in owner


def _has_another_day(fields: list[str]) -> bool:
    """Tell whether a crontab line means other days counted from Monday than from Sunday."""
    if len(fields) <= DAY_FIELD:
        return False
    days = {day for part in fields[DAY_FIELD].split(",") for day in _days(part)}
    return {day % WEEK for day in days} != {(day - 1) % WEEK for day in days}


def _days(part: str) -> Iterable[int]:
    found = _DAYS.fullmatch(part)
    if found is None:  # names, or every day
        return ()
    first, last, step = (int(each) if each else None for each in found.groups())
    end = last if last is not None else WEEK - 1 if step else first
    return range(first or 0, (end or 0) + 1, step or 1)
