"""Find all values that the user's functions and objects can reach, and where each is stored.

The search follows globals, closures, defaults, arguments, attributes of the user's objects,
classes, functions and modules, and the contents of lists, dicts and other containers. It does not
enter libraries.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import defaultdict, deque
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from types import (
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.simulation.sources import PROGRAMS, is_user_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MAX_VALUES: Final = 10_000
"""So many values are searched, and so many of one list or dict."""
MISSING: Final = object()
"""The value of an empty slot."""

_CONTAINERS: Final = (dict, list, tuple, set, frozenset, deque)
_ATTRIBUTES: Final = (dict, MappingProxyType)
_FUNCTIONS: Final = (FunctionType, staticmethod, classmethod)  # such as __new__
_WRAPPERS: Final = (MethodType, partial, property, cached_property, classmethod, staticmethod)
_WRAPPED: Final = ("__self__", "__func__", "func", "fget", "fset")
"""The attributes in which these keep what they wrap."""
ATOMS: Final = frozenset((bool, int, float, complex, str, bytes, type(None)))
_LOOKING: Final = frozenset(
    f"__{name}__" for name in ("repr", "str", "eq", "hash", "lt", "le", "gt", "ge", "getstate")
)
"""Special methods that only compare or show an object, such as those of ``dataclass``."""
_BY_NAME: Final = frozenset(("getattr", "hasattr", "vars", "globals", "__dict__"))
"""Names that can find an attribute or a global by a string."""


@dataclass(eq=False, slots=True)
class Slot:
    """A place in which a value is stored."""

    owner: Any
    """The dict, object, cell, list or function that holds the value; or the value itself."""
    key: Any
    path: str
    """How the user writes it: ``guard.done``."""
    read: Callable[[], Any]
    write: Callable[[Any], None] | None = None
    """Replaces the value; None: it cannot be replaced."""
    kind: str = ""
    """GLOBAL, DEREF (of a closure), DEFAULT, FAST (an argument), ATTR, or empty: no name."""
    code: CodeType | None = None
    """The code that uses the value by this name; None: any code can, through an attribute."""


class Reach:
    """The slots that ``roots`` can reach, and the user's functions among their values.

    Values in ``skip`` are not followed. An attribute of a module counts only if one of these
    functions uses its name; with ``only_named``, this holds for every attribute.
    """

    def __init__(self, *roots: Any, skip: Iterable[Any] = (), only_named: bool = False) -> None:
        self.slots: list[Slot] = []
        self.functions: list[FunctionType] = []
        self.names = set[str]()
        """The names of globals and attributes that these functions use."""
        self.values = {id(each): each for each in skip}
        waiting, unnamed = deque(map(_part, roots)), defaultdict[str, list[Slot]](list)
        while waiting and len(self.values) < MAX_VALUES:
            slot = waiting.popleft()
            value = slot.read()
            if type(value) in ATOMS or id(value) in self.values:
                continue
            self.values[id(value)], found = value, list[Slot]()
            if type(value) is FunctionType and is_own(value):
                self.functions.append(value)
                new = (names_in(value.__code__) | strings_in(value.__code__)) - self.names
                self.names |= new
                for name in sorted(new & unnamed.keys()):
                    found += unnamed.pop(name)
            is_lazy = only_named or issubclass(type(value), ModuleType)
            for each in _slots_of(value, slot.path):
                if is_lazy and each.kind == "ATTR" and not self._may_be_found(each.key):
                    unnamed[each.key].append(each)
                else:
                    found.append(each)
            self.slots += found
            waiting += found

    def _may_be_found(self, name: str) -> bool:
        return name in self.names or (name.startswith("__") and name not in _LOOKING)


@contextlib.contextmanager
def exchanged(slots: Iterable[Slot], stand_in: Callable[[Any], Any]) -> Iterator[None]:
    """Replace each value by ``stand_in(value)`` in the block; None leaves it as it is."""
    found = [(slot.write, slot.read()) for slot in slots if slot.write]
    undo: list[tuple[Callable[[Any], None], Any]] = []
    try:
        for write, value in found:
            if (other := stand_in(value)) is not None:
                undo.append((write, value))
                write(other)
        yield
    finally:
        for write, value in undo:
            write(value)


def is_own(thing: Any) -> bool:
    """Tell whether a function, class or module belongs to the user, not to a library."""
    is_function, is_class = type(thing) is FunctionType, issubclass(type(thing), type)
    names = thing.__globals__ if is_function else attributes_of(thing)
    name = names.get("__module__" if is_class else "__name__", "" if is_function else None)
    if not isinstance(name, str):
        return False
    module = sys.modules.get(name)
    return module is None or name in PROGRAMS or is_user_module(module)


def attributes_of(value: Any) -> Mapping[str, Any]:
    """Return the attributes in a value's own ``__dict__``; none of its code runs."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except Exception:  # noqa: BLE001 - a property of this name may raise whatever it likes
        return {}
    return found if isinstance(found, _ATTRIBUTES) else {}


def names_in(code: CodeType) -> set[str]:
    """Return the names of globals and attributes in code, with those of inner functions."""
    return {name for each in codes_in(code) for name in each.co_names}


def strings_in(code: CodeType) -> set[str]:
    """Return the strings by which code may find a name, as ``getattr`` does."""
    codes = codes_in(code)
    found = (each.co_consts for each in codes if not _BY_NAME.isdisjoint(each.co_names))
    return {name for strings in found for name in strings if isinstance(name, str)}


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """Yield code, and the code of its inner functions."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from codes_in(each)


def slots_of_attributes(owner: Any, path: str = "") -> Iterator[Slot]:
    """Yield a slot for each attribute; a special one (``__x__``) only if it is a function."""
    values, kind = attributes_of(owner), type(owner)
    is_class, is_module = issubclass(kind, type), issubclass(kind, ModuleType)
    classes = owner.__mro__ if is_class else kind.__mro__
    private: tuple[str, ...] | None = None
    put = partial(type.__setattr__, owner) if is_class else getattr(values, "__setitem__", None)
    for key, value in list(values.items()):
        if isinstance(key, str) and (not key.startswith("__") or type(value) in _FUNCTIONS):
            if key.startswith("_") and private is None:
                private = tuple(f"_{each.__name__.lstrip('_')}__" for each in classes)
            is_mangled = private is not None and key.startswith(private)
            shown = f"{path}.{key[key.index('__') :] if is_mangled else key}"
            read, write = partial(values.get, key, MISSING), put and partial(put, key)
            yield Slot(values if is_module else owner, key, shown, read, write, "ATTR")
    slotted = [] if is_class else [each for each in classes if "__slots__" in vars(each)]
    for key, member in (each for base in slotted if is_own(base) for each in vars(base).items()):
        if type(member) is MemberDescriptorType:
            read, write = partial(_member, member, owner), partial(member.__set__, owner)
            yield Slot(owner, key, f"{path}.{key}", read, write, "ATTR")


def _slots_of(value: Any, path: str) -> Iterator[Slot]:
    kind = type(value)
    is_class = issubclass(kind, type)
    if kind is FunctionType:
        yield from _of_function(value)
    elif issubclass(kind, _WRAPPERS):
        yield from (_part(getattr(value, each, None), "self") for each in _WRAPPED)
    elif value is os or value is os.getenv:
        yield Slot(vars(os), "environ", "os.environ", partial(getattr, os, "environ"), None, "ATTR")
    elif kind is SimpleNamespace or is_own(value if issubclass(kind, type | ModuleType) else kind):
        yield from slots_of_attributes(value, value.__name__ if is_class else path or "self")
        yield from map(_part, (*(value.__bases__ if is_class else ()), kind))
    if issubclass(kind, partial):
        yield from _arguments(value)
    yield from _items(value, path)
    if (wrapped := attributes_of(value).get("__wrapped__")) is not None:
        yield _part(wrapped)


def _items(value: Any, path: str) -> Iterator[Slot]:
    kind = type(value)
    base = next((each for each in _CONTAINERS if issubclass(kind, each)), None)
    pairs = dict.items(value) if base is dict else enumerate(base.__iter__(value) if base else ())
    for key, each in list(islice(pairs, MAX_VALUES)):
        if type(each) not in ATOMS:
            shown = f"{path}[{key!r}]" if type(key) in ATOMS else path
            write = partial(value.__setitem__, key) if kind in {list, dict} else None
            yield Slot(value, key, shown, partial(_itself, each), write)


def _of_function(function: FunctionType) -> Iterator[Slot]:
    code, everything, own = function.__code__, function.__globals__, is_own(function)
    if own:
        for name in sorted((names_in(code) | strings_in(code)) & everything.keys()):
            yield _item(everything, name, "GLOBAL", code)
        yield from slots_of_attributes(function, function.__name__)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        read = partial(getattr, cell, "cell_contents", MISSING)
        write, kind = partial(setattr, cell, "cell_contents"), "DEREF" if own else ""
        yield Slot(cell, name, name, read, write, kind, code)
    kind, count = "DEFAULT" if own else "", len(function.__defaults__ or ())
    for place, name in enumerate(code.co_varnames[code.co_argcount - count : code.co_argcount]):
        read, write = partial(_default, function, place), partial(_set_default, function, place)
        yield Slot(function, name, name, read, write, kind, code)
    keywords = function.__kwdefaults__ or {}
    yield from (_item(keywords, name, kind, code) for name in keywords)


def _arguments(given: partial[Any]) -> Iterator[Slot]:
    """Yield the arguments of a partial, under the names that its function gives them."""
    function = attributes_of(given.func).get("__wrapped__", given.func)
    kind = type(function)
    if kind is not FunctionType:
        function = function.__func__ if kind is MethodType else attributes_of(kind).get("__call__")
    code = getattr(function, "__code__", None)
    names = code.co_varnames[kind is not FunctionType : code.co_argcount] if code else ()
    for name, value in [*zip(names, given.args, strict=False), *given.keywords.items()]:
        kind_of_name = "FAST" if code else ""
        yield Slot(value, name, name, partial(_itself, value), kind=kind_of_name, code=code)
    yield from map(_part, given.args[len(names) :])


def _item(values: dict[str, Any], name: str, kind: str, code: CodeType) -> Slot:
    read, write = partial(values.get, name, MISSING), partial(values.__setitem__, name)
    return Slot(values, name, name, read, write, kind, code)


def _part(value: Any, path: str = "") -> Slot:
    return Slot(value, "", path, partial(_itself, value))


def _itself(value: Any) -> Any:
    return value


def _member(member: MemberDescriptorType, owner: Any) -> Any:
    with contextlib.suppress(AttributeError):  # empty yet
        return member.__get__(owner)
    return MISSING


def _default(function: FunctionType, place: int) -> Any:
    defaults = function.__defaults__ or ()
    return defaults[place] if place < len(defaults) else MISSING


def _set_default(function: FunctionType, place: int, value: Any) -> None:
    defaults = function.__defaults__ or ()
    function.__defaults__ = (*defaults[:place], value, *defaults[place + 1 :])
