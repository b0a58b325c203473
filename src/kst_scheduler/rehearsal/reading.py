"""What only the source of a service shows, found in its syntax tree."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.rehearsal.notes import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCKING: Final = frozenset(
    (
        *("time.sleep", "os.system", "urllib.request.urlopen", "subprocess.run"),
        *("subprocess.call", "subprocess.check_call", "subprocess.check_output"),
        *(f"requests.{each}" for each in ("get", "post", "put", "patch", "delete", "request")),
        *(f"httpx.{each}" for each in ("get", "post", "put", "patch", "delete", "request")),
    )
)
"""Functions that wait and let no other task run meanwhile."""
DAY_FIELD: Final = 4
"""The place of the weekday in a crontab line."""

WEEK: Final = 7
_DAYS: Final = re.compile(r"(\d)(?:-(\d))?(?:/(\d))?")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Seen:
    """A line of the source that shows something."""

    place: Place
    text: str
    function: str = ""
    """The function in which it stands."""


@dataclass
class Reading:
    """What was read in the files of a service."""

    crontabs: list[Seen] = field(default_factory=list)
    """``from_crontab`` with a weekday that is a number; the text is the line."""
    blocking: list[Seen] = field(default_factory=list)
    """A call in an ``async def`` that blocks the event loop."""
    modified: list[Seen] = field(default_factory=list)
    """``modify(next_run_time=...)``."""
    waits: list[Seen] = field(default_factory=list)
    """``shutdown()`` of a scheduler."""
    swallowed: list[Seen] = field(default_factory=list)
    """``except Exception`` that raises nothing."""
    lambdas: list[Seen] = field(default_factory=list)
    """A lambda that calls an ``async def``; its line stands for the job."""


def read(files: Iterable[str]) -> Reading:
    """Read the files of a service; one that cannot be parsed shows nothing."""
    reading = Reading()
    for file in files:
        try:
            tree = ast.parse(Path(file).read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        _File(file, tree, reading).read()
    return reading


class _File:
    def __init__(self, file: str, tree: ast.Module, reading: Reading) -> None:
        self._file = file
        self._tree = tree
        self._reading = reading
        self._coroutines = {
            each.name for each in ast.walk(tree) if isinstance(each, ast.AsyncFunctionDef)
        }
        self._imported = _imported(tree)

    def read(self) -> None:
        """Read the whole file."""
        for function, node in _within(self._tree, None):
            if isinstance(node, ast.Call):
                self._call(node, function)
            elif isinstance(node, ast.ExceptHandler) and function is not None:
                if _catches_all(node) and not _raises(node):
                    self._add(self._reading.swallowed, node, "except", function)
            elif isinstance(node, ast.Lambda) and isinstance(node.body, ast.Call):
                name = _name(node.body)
                if name in self._coroutines:
                    self._add(self._reading.lambdas, node, f"lambda: {name}()", function)

    def _call(self, call: ast.Call, function: Function | None) -> None:
        name = self._full(_name(call))
        last = name.rpartition(".")[2]
        keywords = {each.arg: each.value for each in call.keywords if each.arg}
        if last == "from_crontab" and (line := _text(call.args[0] if call.args else None)):
            fields = line.split()
            if len(fields) > DAY_FIELD and _counts_differ(fields[DAY_FIELD]):
                self._add(self._reading.crontabs, call, line, function)
        elif name in BLOCKING and isinstance(function, ast.AsyncFunctionDef):
            self._add(self._reading.blocking, call, name, function)
        elif last in {"modify", "modify_job"} and "next_run_time" in keywords and _is_job(name):
            self._add(self._reading.modified, call, name, function)
        elif last == "shutdown" and "scheduler" in name.lower() and _waits(keywords.get("wait")):
            self._add(self._reading.waits, call, name, function)

    def _full(self, name: str) -> str:
        first, dot, rest = name.partition(".")
        return f"{self._imported.get(first, first)}{dot}{rest}"

    def _add(self, seen: list[Seen], node: ast.AST, text: str, function: Function | None) -> None:
        line = getattr(node, "lineno", 0)
        seen.append(Seen(Place(self._file, line), text, function.name if function else ""))


def _within(node: ast.AST, function: Function | None) -> Iterator[tuple[Function | None, ast.AST]]:
    """Yield each node with the innermost function in which it stands."""
    for child in ast.iter_child_nodes(node):
        inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        inner = None if isinstance(child, ast.Lambda) else inner  # runs when it is called
        yield function, child
        yield from _within(child, inner)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for."""
    names = {}
    for each in ast.walk(tree):
        if isinstance(each, ast.Import):
            names.update({one.asname: one.name for one in each.names if one.asname})
        elif isinstance(each, ast.ImportFrom) and each.module:
            names.update(
                {one.asname or one.name: f"{each.module}.{one.name}" for one in each.names}
            )
    return names


def _name(node: Any) -> str:
    """Return the dotted name of what is called; empty: it has none."""
    if isinstance(node, ast.Call):
        node = node.func
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ".".join(reversed(parts))
    return ".".join((node.id, *reversed(parts)))


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _waits(argument: ast.expr | None) -> bool:
    """Tell whether ``wait=`` is anything but False."""
    return not (isinstance(argument, ast.Constant) and argument.value is False)


def _catches_all(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    return caught is None or _name(caught) in {"Exception", "BaseException"}


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(each, ast.Raise | ast.Return) for each in ast.walk(handler))


def _is_job(name: str) -> bool:
    """Tell whether what is modified may be a job: it says so, or it is what a call returned."""
    owner = name.rpartition(".")[0].lower()
    return not owner or "job" in owner or "sched" in owner


def _counts_differ(field: str) -> bool:
    """Tell whether a weekday field means other days counted from Monday than from Sunday."""
    days = {day for part in field.split(",") for day in _days(part)}
    return {day % WEEK for day in days} != {(day - 1) % WEEK for day in days}


def _days(part: str) -> Iterable[int]:
    found = _DAYS.fullmatch(part)
    if found is None:  # names, or every day
        return ()
    first, last, step = (int(each) if each else None for each in found.groups())
    end = last if last is not None else WEEK - 1 if step else first
    return range(first or 0, (end or 0) + 1, step or 1)
