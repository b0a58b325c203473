"""What a job's function is made of: wrappers, partials, methods, objects that are called."""

from __future__ import annotations

import functools
import inspect
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.rehearsal.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FUNCTIONS: Final = 20
"""Of one job: more than any pile of decorators has."""
SIMPLE: Final = (str, bytes, int, float, bool, type(None))


def functions_of(function: Any) -> tuple[list[Place], dict[str, Place]]:
    """Return where the functions of a job begin, and those that one has from around it.

    The first is what the scheduler calls; what it wraps comes after it. The second has them by
    ``closed_key``.
    """
    found: dict[FunctionType, None] = {}
    closed: dict[str, Place] = {}
    waiting = [function]
    while waiting and len(found) < MAX_FUNCTIONS:
        each = _called(waiting.pop(0))
        if each is None or each in found:
            continue
        found[each] = None
        if (wrapped := each.__dict__.get("__wrapped__")) is not None:
            waiting.append(wrapped)
        for name, inner in _closure(each):
            closed[closed_key(_place(each), name)] = _place(inner)
            waiting.append(inner)
    return [_place(each) for each in found], closed


def closed_key(place: Place, name: str) -> str:
    """Return the key of a variable that a function has from around it."""
    return f"{place} {name}"


def identity_of(function: Any, args: Any, kwargs: Any) -> str:
    """Return a text that two jobs of one process share where they call the same with the same.

    Methods of two objects differ, and so do two functions that were made by one ``def``, if what
    they have from around them differs.
    """
    values = [*args, *sorted(kwargs.items(), key=str)]
    while True:
        if isinstance(function, functools.partial):
            values += [*function.args, *sorted(function.keywords.items(), key=str)]
            function = function.func
        elif isinstance(function, FunctionType) and "__wrapped__" in function.__dict__:
            function = function.__dict__["__wrapped__"]
        else:
            break
    if isinstance(function, MethodType):
        values.append(function.__self__)
        function = function.__func__
    if isinstance(function, FunctionType):
        values += [each.cell_contents for each in function.__closure__ or () if _is_filled(each)]
        values += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        function = function.__code__
    return " ".join(map(_key, [function, *values]))


def is_generator(function: Any) -> bool:
    """Tell whether calling a job's function makes a generator, and runs nothing of it."""
    called = _called(function)
    return inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)


def _key(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({' '.join(map(_key, value))})"
    return repr(value) if type(value) in SIMPLE else f"{type(value).__name__}@{id(value)}"


def _called(value: Any) -> FunctionType | None:
    """Return the function that runs when a value is called, as far as Python can tell."""
    while isinstance(value, functools.partial):
        value = value.func
    if not isinstance(value, FunctionType | MethodType | type):
        value = getattr(type(value), "__call__", None)  # noqa: B004 - the function itself
    if isinstance(value, MethodType):
        value = value.__func__
    return value if isinstance(value, FunctionType) else None


def _closure(function: FunctionType) -> Iterator[tuple[str, FunctionType]]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        if _is_filled(cell) and (found := _called(cell.cell_contents)) is not None:
            yield name, found


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # its variable has no value yet
        return False


def _place(function: FunctionType) -> Place:
    return Place(function.__code__.co_filename, function.__code__.co_firstlineno)
