"""The functions of a service as they are written: what each one calls, hides and blocks."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_scheduler.rehearsal.handlers import hidden_failures
from kst_scheduler.rehearsal.job_function import closed_key
from kst_scheduler.rehearsal.place import Place
from kst_scheduler.rehearsal.syntax import (
    Definition,
    first_line,
    imported_names,
    name_of,
    own_nodes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kst_scheduler.rehearsal.notes import JobNote

BLOCKING: Final = frozenset(
    (
        *("time.sleep", "os.system", "urllib.request.urlopen", "urllib.request.urlretrieve"),
        *("subprocess.run", "subprocess.call", "subprocess.check_call"),
        *("subprocess.check_output", "subprocess.getoutput"),
        *(f"requests.{each}" for each in ("get", "post", "put", "patch", "delete", "request")),
        *(f"httpx.{each}" for each in ("get", "post", "put", "patch", "delete", "request")),
        *("psycopg2.connect", "pymysql.connect", "smtplib.SMTP", "smtplib.SMTP_SSL"),
    )
)
"""Functions that wait and let no other task run meanwhile."""


@dataclass(frozen=True)
class Seen:
    """A line of the source that shows something."""

    place: Place
    text: str


@dataclass(frozen=True)
class Called:
    """A function that another one calls."""

    name: str
    """As it is written, such as "self.fetch"; imported names as their module knows them."""
    place: Place
    use: str
    """"dropped" or "returned", if that is all that is done with its result; else empty."""


@dataclass
class Function:
    """A function, method or lambda."""

    place: Place
    """Its file, and the line at which Python lets it begin."""
    path: tuple[str, ...]
    """The names of what it stands in, and its own."""
    is_async: bool
    is_method: bool
    parameters: frozenset[str]
    blocking: list[Seen] = field(default_factory=list)
    swallowed: list[Place] = field(default_factory=list)
    """Handlers that catch every error and raise none."""
    calls: list[Called] = field(default_factory=list)


class FunctionReader:
    """Reads the functions of one file."""

    def __init__(self, file: str, tree: ast.Module) -> None:
        self._file = file
        self._tree = tree
        self._imported = imported_names(tree)

    def read(self) -> Iterator[Function]:
        """Yield them, those outside first."""
        yield from self._within(self._tree, (), in_class=False)

    def _within(
        self, node: ast.AST, path: tuple[str, ...], *, in_class: bool
    ) -> Iterator[Function]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Definition):
                inner = (*path, getattr(child, "name", "<lambda>"))
                yield self._function(child, inner, in_class=in_class)
                yield from self._within(child, inner, in_class=False)
            elif isinstance(child, ast.ClassDef):
                yield from self._within(child, (*path, child.name), in_class=True)
            else:
                yield from self._within(child, path, in_class=in_class)

    def _function(self, node: Definition, path: tuple[str, ...], *, in_class: bool) -> Function:
        arguments = node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        found = Function(
            Place(self._file, first_line(node)),
            path,
            is_async=isinstance(node, ast.AsyncFunctionDef),
            is_method=in_class,
            parameters=frozenset(each.arg for each in named),
            swallowed=[Place(self._file, line) for line in hidden_failures(node)],
        )
        uses = _uses(node)
        for each in own_nodes(node):
            if isinstance(each, ast.Call) and (name := name_of(each, self._imported)):
                place = Place(self._file, each.lineno)
                found.calls.append(Called(name, place, uses.get(each, "")))
                if name in BLOCKING:
                    found.blocking.append(Seen(place, name))
        return found


def _uses(node: Definition) -> dict[ast.AST, str]:
    """Return the calls whose result is dropped, and those whose result is returned."""
    if isinstance(node, ast.Lambda):
        return {node.body: "returned"}
    kinds = {ast.Expr: "dropped", ast.Return: "returned"}
    return {
        each.value: kinds[type(each)]
        for each in own_nodes(node)
        if isinstance(each, ast.Expr | ast.Return) and each.value is not None
    }


@dataclass(frozen=True)
class Step:
    """A function that a run calls, in the thread in which it begins."""

    function: Function
    by: Called | None = None
    """The call; None: the scheduler calls it."""
    is_lost: bool = True
    """Whether nobody awaits what it returns."""


class Functions:
    """The functions of all files of a service."""

    def __init__(self) -> None:
        self._at: dict[Place, list[Function]] = {}
        self._named: dict[tuple[str, tuple[str, ...]], Function] = {}

    def add(self, functions: Iterable[Function]) -> None:
        """Take those of a file."""
        for each in functions:
            self._at.setdefault(each.place, []).append(each)
            self._named[each.place.file, each.path] = each

    def at(self, place: Place) -> list[Function]:
        """Return the function that begins there; none if several do, as lambdas may."""
        found = self._at.get(place, [])
        return found if len(found) == 1 else []

    def of_job(self, note: JobNote) -> Iterator[Step]:
        """Yield what a run calls in the thread in which it begins.

        A function that is handed to another thread is not called, and neither is one in a lambda.
        """
        seen: set[int] = set()
        # A decorator of a library, whose source is not read, is taken to call what it wraps.
        known = [each for place in note.functions for each in self.at(place)]
        waiting = [Step(each) for each in known[:1]]
        while waiting:
            step = waiting.pop(0)
            if id(step.function) in seen:
                continue
            seen.add(id(step.function))
            yield step
            for call in step.function.calls:
                found = self._called(step.function, call.name, note)
                if found is not None:
                    is_lost = call.use == "dropped" or (call.use == "returned" and step.is_lost)
                    waiting.append(Step(found, call, is_lost))

    def _called(self, function: Function, name: str, note: JobNote) -> Function | None:
        """Return the function that a name means in another one; None: it cannot be told."""
        first, _, rest = name.partition(".")
        file, path = function.place.file, function.path
        if first in {"self", "cls"} and function.is_method:
            return self._named.get((file, (*path[:-1], *rest.split("."))))
        names = tuple(name.split("."))
        for depth in range(len(path), -1, -1):
            scope = self._named.get((file, path[:depth]))
            if depth and scope is None:  # a class, whose names its methods do not see
                continue
            if found := self._named.get((file, (*path[:depth], *names))):
                return found
            if scope is not None and first in scope.parameters:
                closed = note.closed.get(closed_key(function.place, first))
                return next(iter(self.at(closed)), None) if closed else None
        return self._imported(file, names)

    def _imported(self, file: str, names: tuple[str, ...]) -> Function | None:
        """Return a function of another of the reader's modules."""
        for number in range(len(names) - 1, 0, -1):
            module, path = Path(*names[:number]), names[number:]
            found = [
                each
                for (other, its), each in self._named.items()
                if its == path and other != file and _is_module(Path(other), module)
            ]
            if len(found) == 1:
                return found[0]
        return None


def _is_module(file: Path, module: Path) -> bool:
    """Tell whether a file is that of a module, or of a package."""
    stem = file.parent if file.name == "__init__.py" else file.with_suffix("")
    return stem.parts[-len(module.parts) :] == module.parts
