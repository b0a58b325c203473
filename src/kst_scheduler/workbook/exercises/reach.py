"""What an answer can reach: the values that its functions, classes and objects find by name."""

from __future__ import annotations

import contextlib
import inspect
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType


_PACKAGE: Final = str(Path(__file__).parents[2])


@dataclass
class Place:
    """Where an answer finds a value, and can be given another."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    before: Any = None


def functions_of(answer: Any) -> list[FunctionType]:
    """Return the functions that an answer is made of, and those of its notebook that it names."""
    return [value for value in _reached(answer)[0] if isinstance(value, FunctionType)]


def places_of(answer: Any) -> list[Place]:
    """Return where the answer finds values: globals, closures, defaults, attributes."""
    return _reached(answer)[1]


@contextlib.contextmanager
def put_in_place(
    answer: Any, stand_ins: Mapping[Any, Any], modules: tuple[ModuleType, ...] = ()
) -> Iterator[None]:
    """Let the answer, and these modules, find other functions in the block.

    A name that the answer has imported, as by ``from time import monotonic``, keeps the real
    function whatever becomes of the module's.
    """
    places = [*places_of(answer), *(place for module in modules for place in _attributes(module))]
    changed = [place for place in places if _is_key(place.read(), stand_ins)]
    for place in changed:
        place.before = place.read()
        place.write(stand_ins[place.before])
    try:
        yield
    finally:
        for place in changed:
            place.write(place.before)


def _is_key(value: Any, stand_ins: Mapping[Any, Any]) -> bool:
    return any(value is key for key in stand_ins)


def _reached(answer: Any) -> tuple[list[Any], list[Place]]:
    """Follow names from the answer, within the namespace in which it was written."""
    values, places, seen, home = [answer], list[Place](), set[int](), dict[str, Any]()
    for value in values:  # grows meanwhile
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, FunctionType) and not home and not _is_of_a_library(value):
            home = value.__globals__
        places += (found := list(_places_in(value, home)))
        values += [*_parts_of(value, home), *(place.read() for place in found)]
    return values, places


def _places_in(value: Any, home: dict[str, Any]) -> Iterator[Place]:
    if isinstance(value, FunctionType):
        if value.__globals__ is home:
            yield from _of(value)
    elif hasattr(value, "__dict__") and not isinstance(value, partial | MethodType):
        kind = value if isinstance(value, type) else type(value)
        if _is_from(kind, home):
            yield from _attributes(value)


def _parts_of(value: Any, home: dict[str, Any]) -> list[Any]:
    """Return what a value is made of, apart from the places that it has."""
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, FunctionType):
        return [inspect.unwrap(value)]
    return [type(value)] if _is_from(type(value), home) else []


def _is_of_a_library(function: FunctionType) -> bool:
    """Tell whether a function was written by somebody else, Python's own included."""
    file = function.__code__.co_filename
    return file.startswith(_PACKAGE) or "site-packages" in file or "lib/python" in file


def _is_from(kind: type, home: dict[str, Any]) -> bool:
    """Tell whether a class was written in the answer's namespace; before that is known, in any."""
    name = home.get("__name__")
    return kind.__module__ == name if name else kind.__module__ != "builtins"


def _of(function: FunctionType) -> Iterator[Place]:
    everything = function.__globals__
    for name in names_in(function.__code__) & everything.keys():
        read, write = partial(everything.get, name), partial(everything.__setitem__, name)
        yield Place(f"`{name}`", read, write)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        read = partial(getattr, cell, "cell_contents", None)
        yield Place(f"`{name}`", read, partial(setattr, cell, "cell_contents"))
    for defaults in ("__defaults__", "__kwdefaults__"):
        yield Place(
            "a default argument",
            partial(getattr, function, defaults),
            partial(setattr, function, defaults),
        )


def _attributes(owner: Any) -> Iterator[Place]:
    """Return those of an object, or of a class, whose special methods are looked at too."""
    for name, value in list(vars(owner).items()):
        if not name.startswith("__") or isinstance(value, FunctionType):
            yield Place(f"`{name}`", partial(vars(owner).get, name), partial(setattr, owner, name))


def names_in(code: CodeType) -> set[str]:
    """Return the global names that code uses, that of functions within it included."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(names_in, inner))
