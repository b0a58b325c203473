"""Locks and thread locals that the reader's code made before the simulation began.

The real ones know threads of the system only, and all simulated threads are one of those. So
where ``register`` can reach such a one, it finds a virtual one while the simulation runs.
"""

from __future__ import annotations

import _thread
import contextlib
import sys
import threading
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.simulation.sources import PROGRAMS, global_names, is_the_readers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_VALUES: Final = 10_000
"""How many values are looked at; the rest keeps what it has."""

_Slot = tuple[Any, Any, Any]
"""What holds a value, under which name, and the value."""


@contextlib.contextmanager
def exchanged(register: Callable[..., object]) -> Iterator[None]:
    """Put virtual primitives where ``register`` can reach real ones, and put these back."""
    undo: list[_Slot] = []
    new: dict[int, Any] = {}
    try:
        for slot in _reachable(register):
            owner, name, value = slot
            if id(value) not in new and (made := _virtual(value)) is not None:
                new[id(value)] = made
            if id(value) in new:
                undo.append(slot)
                _put(owner, name, new[id(value)])
        yield
    finally:
        for owner, name, value in undo:
            _put(owner, name, value)


def _virtual(value: Any) -> Any:
    """Return what stands for a value in a simulation; None: itself does."""
    kind = type(value)
    if kind is _thread.LockType and not value.locked():
        return threading.Lock()
    if kind is _thread.RLock and _is_free(value):
        return threading.RLock()
    if kind is threading.Condition and _is_free(value):
        return threading.Condition()
    if kind is _thread._local:
        local = threading.local()
        local.__dict__.update(value.__dict__)
        return local
    return None


def _is_free(lock: Any) -> bool:
    """Tell whether nobody holds a lock, this thread included."""
    if not lock.acquire(blocking=False):
        return False
    lock.release()
    return not lock._is_owned()


def _put(owner: Any, name: Any, value: Any) -> None:
    if isinstance(owner, CellType):
        owner.cell_contents = value
    else:
        owner[name] = value


def _reachable(function: Any) -> list[_Slot]:
    waiting, seen, found = [function], set[int](), list[_Slot]()
    while waiting and len(seen) < MAX_VALUES:
        value = waiting.pop()
        if id(value) not in seen:
            seen.add(id(value))
            slots = list(_slots(value))
            found += [slot for slot in slots if slot[0] is not None]
            waiting += [slot[2] for slot in slots]
    return found


def _slots(value: Any) -> Iterator[_Slot]:
    if isinstance(value, FunctionType):
        yield from _of_function(value)
    elif isinstance(value, MethodType):
        yield from ((None, "", each) for each in (value.__self__, value.__func__))
    elif isinstance(value, partial):
        yield from ((None, "", each) for each in (value.func, *value.args))
        yield from ((None, "", each) for each in value.keywords.values())
    elif type(value) is tuple:
        yield from ((None, "", each) for each in value)
    elif type(value) is list:
        yield from ((value, index, each) for index, each in enumerate(value))
    elif type(value) is dict:
        yield from ((value, key, each) for key, each in list(value.items()))
    elif isinstance(value, ModuleType) and is_the_readers(value):
        yield from ((vars(value), key, each) for key, each in list(vars(value).items()))
    elif _is_own(type(value)) and isinstance(attributes := getattr(value, "__dict__", None), dict):
        yield from ((attributes, key, each) for key, each in list(attributes.items()))
        yield from ((None, "", each) for each in vars(type(value)).values())


def _of_function(function: FunctionType) -> Iterator[_Slot]:
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # empty yet
            yield cell, "", cell.cell_contents
    yield from ((None, "", each) for each in function.__defaults__ or ())
    if _is_own(function):
        everything = function.__globals__
        for name in global_names(function.__code__) & everything.keys():
            yield everything, name, everything[name]


def _is_own(thing: Any) -> bool:
    """Tell whether a function or class is the reader's."""
    module = sys.modules.get(thing.__module__ or "")
    return module is not None and (module.__name__ in PROGRAMS or is_the_readers(module))
