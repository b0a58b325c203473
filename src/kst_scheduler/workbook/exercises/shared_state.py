"""Refuse answers that work only because all simulated replicas live in one process.

A simulation runs every node in one process, so a global of the reader's would be a perfect lock
between them. Real replicas have each their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
import threading
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.workbook.exercises.exercise import NotYetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PLAIN: Final = (
    *(bool, int, float, str, bytes, bytearray, type(None)),
    *(list, tuple, dict, set, frozenset, Counter, deque),
)
"""What a memory is made of; its contents are compared."""
_LOCKS: Final = (
    asyncio.Lock,
    asyncio.Event,
    asyncio.Semaphore,
    threading.Event,
    threading.Semaphore,
    type(threading.Lock()),
    type(threading.RLock()),
)
"""What has no use but to be shared."""


@dataclass
class _Place:
    """Where a function finds a value, and can be given another."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]
    before: Any = None


@contextlib.contextmanager
def each_replica_for_itself(answer: Any, allowed: tuple[str, ...] = ()) -> Iterator[None]:
    """Refuse an answer whose memory the simulated replicas have shared in the block.

    Looked at are the globals, closures and defaults of the answer, and of the functions beside it
    that it names, except those ``allowed``. What has changed is put back.

    Raises:
        NotYetError: one of them has changed, or is a lock that holds within one process.

    """
    places = [place for place in _places(answer) if place.name not in allowed]
    for place in places:
        place.before = copy.deepcopy(place.read())
    changed: list[_Place] = []
    try:
        yield
    finally:
        changed += [place for place in places if place.read() != place.before]
        for place in changed:
            place.write(place.before)
    shared = changed or [place for place in _places(answer, _LOCKS) if place.name not in allowed]
    if shared:
        raise NotYetError(
            f"Your answer keeps something in {shared[0].name}, and the simulated replicas share "
            "it, as they live in one process. Real replicas have each their own."
        )


def _places(answer: Any, kinds: tuple[type, ...] = _PLAIN) -> list[_Place]:
    """Return where values of these kinds are that the answer can reach."""
    waiting, seen, found = [inspect.unwrap(answer) if callable(answer) else None], set[int](), []
    while waiting:
        function = waiting.pop()
        if isinstance(function, FunctionType) and id(function) not in seen:
            seen.add(id(function))
            places = list(_of(function))
            found += [place for place in places if isinstance(place.read(), kinds)]
            waiting += [value for place in places if _beside(value := place.read(), function)]
    return found


def _of(function: FunctionType) -> Iterator[_Place]:
    everything = function.__globals__
    for name in _names(function.__code__) & everything.keys():
        read, write = partial(everything.get, name), partial(everything.__setitem__, name)
        yield _Place(f"`{name}`", read, write)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        read = partial(getattr, cell, "cell_contents", None)
        yield _Place(f"`{name}`", read, partial(setattr, cell, "cell_contents"))
    read = partial(getattr, function, "__defaults__")
    yield _Place("a default argument", read, partial(setattr, function, "__defaults__"))


def _beside(value: Any, function: FunctionType) -> bool:
    """Tell whether a value is a function of the same notebook."""
    return getattr(value, "__globals__", None) is function.__globals__


def _names(code: CodeType) -> set[str]:
    """Return the global names that a function uses, those of functions within it included."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))
