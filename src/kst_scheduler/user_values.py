"""Read what a job returned or raised, whatever it does when it is read.

A job's work is done once it returns or raises, but its row is not yet written. So nothing here
raises, and of a value only its type and its stored data are read where that is enough. A
``__repr__`` or ``__str__`` of the job's own must run, as an error's text is nothing else: what it
raises is caught and what it returns is cut. How long it takes and how much memory it needs cannot
be bounded: it blocks the event loop, as any code of the job between two ``await``s does.
"""

from __future__ import annotations

import inspect
import sys
from collections import namedtuple
from enum import Enum
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_CHARACTERS: Final = 4_000
"""Characters of a text that are read; a row and a line of the log hold fewer."""

MAX_DEPTH: Final = 20
"""How deep what an error holds is read."""

_BRACKETS: Final[dict[type, tuple[str, str]]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    dict: ("{", "}"),
}
_REPRS: Final = (BaseException.__repr__, BaseExceptionGroup.__repr__)
_ARGUMENTS: Final = BaseException.args.__get__  # type: ignore[attr-defined]
"""Reads an error's arguments past a property of its class, which may have no end."""

_STORED: Final = (MemberDescriptorType, type(vars(namedtuple("_", "rows"))["rows"]))  # noqa: PYI024
"""How a class with slots and a NamedTuple keep their fields: read by C, not by the class."""


def describe(error: BaseException) -> str:
    """Return ``repr(error)``, cut at 4,000 characters; what is wrong with it if it has none."""
    return _read(_repr, error)


def text_of(error: BaseException) -> str:
    """Return ``str(error)``, cut at 4,000 characters; what is wrong with it if it has none."""
    return _read(_str, error)


def is_a(value: object, *types: type) -> bool:
    """Return whether a value's type is one of ``types``; its ``__class__`` is not believed."""
    return issubclass(type(value), types)


def has_readable_class(error: BaseException) -> bool:
    """Return whether others can ask what kind of error it is: ``isinstance`` reads its class."""
    try:
        return bool(error.__class__)
    except BaseException:  # noqa: BLE001 - it is a property of the job's
        return False


def integer_of(result: object) -> int | None:
    """Return a result that is an integer, or its integer field ``rows``; None for any other.

    An integer is an ``int`` or one of NumPy's; True, False and the members of an Enum are not. No
    method of the result is called.
    """
    number = _integer(result)
    return _integer(_field(result, "rows")) if number is None else number


def _integer(value: object) -> int | None:
    if is_a(value, int):
        return None if is_a(value, bool, Enum) else int.__index__(value)  # type: ignore[arg-type]
    numpy: Any = sys.modules.get("numpy")
    # To NumPy a span of time is an integer, too. Both are None while NumPy is being imported.
    kind, span = getattr(numpy, "integer", None), getattr(numpy, "timedelta64", None)
    is_number = kind and span and is_a(value, kind) and not is_a(value, span)
    return numpy.generic.item(value) if is_number else None


def _field(value: object, name: str) -> object:
    """Return a field of an instance without running a property, or anything else of its class."""
    try:
        found = inspect.getattr_static(value, name, None)
        return found.__get__(value) if type(found) in _STORED else found
    except BaseException:  # noqa: BLE001 - a class can lie even about its dictionary
        return None


def _read(read: Callable[[BaseException], str], error: BaseException) -> str:
    try:
        text = read(error)
        # As str itself does it: a subclass of str may cut itself in its own way.
        if str.__len__(text) <= MAX_CHARACTERS:
            return str.__getitem__(text, slice(None))
        # The mark tells redaction that a secret may have been divided here.
        return str.__getitem__(text, slice(MAX_CHARACTERS - 1)) + "…"
    except BaseException as failure:  # noqa: BLE001 - sys.exit() in a __repr__ ends no process
        return f"{_name(error)}, which cannot be shown: {_name(failure)}"


def _repr(error: BaseException) -> str:
    """Return repr(error), or as much of it as there is room for."""
    return _start_of(_pieces(error, 0))


def _str(error: BaseException) -> str:
    """Return str(error), or as much of it as there is room for."""
    method = type(error).__str__
    arguments = _ARGUMENTS(error)
    if method is KeyError.__str__ and len(arguments) == 1:
        return _start_of(_pieces(arguments[0], 0))
    if method not in {BaseException.__str__, KeyError.__str__}:
        return str(error)
    if len(arguments) > 1:
        return _start_of(_pieces(arguments, 0))
    # The text of a container is its repr; any other argument has a text of its own.
    is_container = bool(arguments) and type(arguments[0]) in _BRACKETS
    return _start_of(_pieces(arguments[0], 0)) if is_container else str(error)


def _start_of(pieces: Iterator[str]) -> str:
    """Join pieces until there are more characters than are read."""
    taken, room = [], MAX_CHARACTERS
    for piece in pieces:
        taken.append(piece)
        room -= len(piece)
        if room < 0:
            break
    return "".join(taken)


def _pieces(value: object, depth: int) -> Iterator[str]:
    """Yield the repr of a value, element by element: a copy of all of it may fill the memory."""
    kind = type(value)
    if kind in {str, bytes, bytearray}:
        yield repr(value[:MAX_CHARACTERS])  # type: ignore[index]
    elif depth > MAX_DEPTH:
        yield "..."
    elif kind is dict:
        yield from _joined("{", value.items(), "}", depth)  # type: ignore[attr-defined]
    elif kind is tuple and len(value) == 1:  # type: ignore[arg-type]
        yield from _joined("(", ((each,) for each in value), ",)", depth)  # type: ignore[attr-defined]
    elif kind in _BRACKETS:
        begin, end = _BRACKETS[kind]
        yield from _joined(begin, ((each,) for each in value), end, depth)  # type: ignore[attr-defined]
    elif is_a(value, BaseException) and kind.__repr__ in _REPRS:
        arguments = ((each,) for each in _ARGUMENTS(value))
        yield from _joined(f"{_name(value)}(", arguments, ")", depth)  # type: ignore[arg-type]
    else:
        yield repr(value)


def _joined(begin: str, items: Iterable[tuple[object, ...]], end: str, depth: int) -> Iterator[str]:
    yield begin
    for number, item in enumerate(items):
        if number:
            yield ", "
        yield from _pieces(item[0], depth + 1)
        if len(item) > 1:  # a key and its value
            yield ": "
            yield from _pieces(item[1], depth + 1)
    yield end


def _name(error: BaseException) -> str:
    name: str = type.__dict__["__name__"].__get__(type(error))  # past what a metaclass says
    return name[:MAX_CHARACTERS]
