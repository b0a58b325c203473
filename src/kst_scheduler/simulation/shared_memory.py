"""What simulated nodes share and real replicas do not: memory and locks of the reader's code.

All nodes live in one process, so a global, a closure or an object is one for all of them, unless
each process executes the module for itself (``fresh_modules``). A set of what is done would be a
perfect guard there. A list that the jobs only append to guards nothing, and is how a reader sees
what has happened: so what counts is how the functions use the name.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dis
import functools
import io
import logging
import os
import queue
import threading
from array import array
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, deque
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from kst_scheduler.simulation.primitives import VirtualLock
from kst_scheduler.simulation.reach import (
    MISSING,
    Reach,
    Slot,
    attributes_of,
    codes_in,
    names_in,
    strings_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apscheduler.job import Job

_logger = logging.getLogger(__name__)

PLAIN: Final = (
    *(bool, int, float, str, bytes, bytearray, type(None)),
    *(list, tuple, dict, set, frozenset, Counter, deque),
)
"""What a memory is made of; its contents are compared."""
LOCKS: Final = (
    *(asyncio.Lock, asyncio.Semaphore, asyncio.Condition),
    *(threading.Semaphore, threading.Condition, threading.Barrier),
    *(type(threading.Lock()), type(threading.RLock())),
    *(VirtualLock, threading._RLock),  # what stands for these two in a simulation
)
"""What excludes within one process only."""

_FOLLOWED: Final = (FunctionType, MethodType, type)
"""What ``register`` is given and nodes do not share on purpose, as they do a ledger."""
_CONTAINERS: Final = (OrderedDict, dict, list, tuple, set, frozenset, deque)
_CACHE: Final = functools._lru_cache_wrapper
_STATE: Final[dict[type, Any]] = {
    **dict.fromkeys(_CONTAINERS),
    bytearray: bytes,
    array: array.tobytes,
    io.StringIO: io.StringIO.getvalue,
    io.BytesIO: io.BytesIO.getvalue,
    **dict.fromkeys((UserDict, UserList), attrgetter("data")),
    **dict.fromkeys((WeakSet, WeakKeyDictionary, WeakValueDictionary), attrgetter("data")),
    ChainMap: attrgetter("maps"),
    queue.Queue: attrgetter("queue"),
    queue.SimpleQueue: queue.SimpleQueue.qsize,
    asyncio.Queue: attrgetter("_queue"),
    threading.Event: attrgetter("_flag"),
    asyncio.Event: attrgetter("_value"),
    **dict.fromkeys((asyncio.Future, concurrent.futures.Future), attrgetter("_state")),
    ContextVar: ContextVar.get,
    os._Environ: dict,
    _CACHE: _CACHE.cache_info,
}
"""What can be a memory, and what of it is compared; None: what is in it."""
_ITERATORS: Final = (Iterator, AsyncIterator)
_COMPARED: Final = (bool, int, float, str, bytes, type(None))
_MOST_COMPARED: Final = 10_000
"""Values of one memory; of a larger one only the first are compared, and its length."""
_ONLY_WRITE: Final = {
    *("append", "appendleft", "extend", "extendleft", "insert", "put", "put_nowait"),
    *("add", "update", "clear", "discard", "set"),
}
"""Methods that return nothing and raise nothing, whatever is in the list, set, dict or queue."""
_COLLECT: Final = {"BUILD_LIST": 1, "BUILD_TUPLE": 1, "BUILD_SET": 1, "BUILD_MAP": 2}
"""What puts values into a new list or dict, such as ``args=[seen]``, and how many for each."""
_ENTER: Final = {"BEFORE_WITH", "BEFORE_ASYNC_WITH", "LOAD_SPECIAL"}
"""What begins a ``with``."""


class SharedMemory:
    """What the functions of a simulation can reach, and what it was before."""

    def __init__(self, functions: Iterable[Any]) -> None:
        roots, self._handed = list(functions), list[Any]()
        for each in roots:
            if isinstance(each, partial):
                roots.append(each.func)
                given = (*each.args, *each.keywords.values())
                self._handed += [value for value in given if type(value) not in _FOLLOWED]
        self._roots: list[list[Any]] = []
        """What each process begins with; number 0 stands for all."""
        self._slots: dict[tuple[int, str], list[Slot]] = {}
        self._before: dict[tuple[int, str], list[Any]] = {}
        self._reached_by: dict[tuple[int, str], set[int]] = {}
        self._owners: dict[int, Any] = {}
        self._codes: dict[int, CodeType] = {}
        self._begin([each for each in roots if not isinstance(each, partial)])

    def look_at(self, jobs: Iterable[Job]) -> None:
        """Note what the jobs of one more process can reach, and what they are given."""
        self._begin([partial(job.func, *job.args, **job.kwargs) for job in jobs])

    def warn(self) -> None:
        """Log what the nodes have shared, if a guard could be made of it, and what locks."""
        for process in range(len(self._roots)):
            self._note(process, is_late=True)
        shared = [
            (slots, self._before[key])
            for key, slots in self._slots.items()
            if 0 in self._reached_by[key] or len(self._reached_by[key]) > 1
        ]
        locks = [slots for slots, before in shared if issubclass(type(before[0]), LOCKS)]
        guards = [
            slots
            for slots, before in shared
            if slots not in locks and not _is_same(_contents(slots[0].read()), before)
        ]
        if names := self._names_of_read(guards):
            _logger.warning(
                "%s: all nodes of this simulation share it, as they live in one process, and the "
                "jobs read it; real replicas have each their own, and lose it in a crash. Keep it "
                "in a ledger, a database or Redis; or write register at the top level of a module, "
                "which each simulated process executes for itself",
                names,
            )
        if names := self._names_of_read(locks):
            _logger.warning(
                "%s: a lock that excludes within one process only, and all nodes of this "
                "simulation live in one; between real replicas it excludes nothing. Use once() "
                "with a ledger, or redis_lock()",
                names,
            )

    def _begin(self, roots: list[Any]) -> None:
        self._roots.append(roots)
        self._note(len(self._roots) - 1)

    def _note(self, process: int, *, is_late: bool = False) -> None:
        """Note each slot and its contents; one that an owner did not have before was empty."""
        reach = Reach(*self._roots[process], skip=self._handed, only_named=True)
        for slot in reach.slots:
            if slot.kind:
                key = id(slot.owner), slot.key
                if key not in self._before:
                    is_new = is_late and id(slot.owner) in self._owners
                    self._before[key] = [MISSING] if is_new else _contents(slot.read())
                self._slots.setdefault(key, []).append(slot)
                self._reached_by.setdefault(key, set()).add(process)
        self._codes |= {id(each.__code__): each.__code__ for each in reach.functions}
        if not is_late:
            values = [*reach.values.values(), *(each.__globals__ for each in reach.functions)]
            self._owners |= {id(each): each for each in (*values, *map(attributes_of, values))}

    def _names_of_read(self, found: list[list[Slot]]) -> str:
        codes = list(self._codes.values())
        read = [slots[0] for slots in found if any(is_read(each, codes) for each in slots)]
        return ", ".join(dict.fromkeys(map(_name_of, read)))


def _name_of(slot: Slot) -> str:
    if slot.kind == "DEFAULT":
        return "a default argument"
    return f"`{slot.path}`{' (its cache)' if type(slot.read()) is _CACHE else ''}"


def is_read(slot: Slot, codes: Iterable[CodeType] = ()) -> bool:
    """Tell whether the code that finds a slot, one of ``codes`` if any may, reads its value."""
    # An argument that a function inside uses is in a cell.
    kinds = (slot.kind, "DEREF") if slot.kind in {"DEFAULT", "FAST"} else (slot.kind,)
    value: Any = slot.read()
    if issubclass(type(value), queue.Queue | asyncio.Queue) and value.maxsize > 0:
        return True  # each put tells whether it is full
    return any(
        (slot.kind in {"ATTR", "GLOBAL"} and slot.key in strings_in(code))
        or (slot.key == "environ" and "getenv" in names_in(code))
        or any(_reads(code, kind.replace("DEFAULT", "FAST"), slot.key) for kind in kinds)
        for code in ([slot.code] if slot.code else codes)
    )


def _contents(value: Any) -> list[Any]:
    """Return what a memory is made of, flat, so that it can be compared with later."""
    found: list[Any] = []
    waiting = [value]
    for each in waiting:
        if len(found) >= _MOST_COMPARED:
            break
        kind = type(each)
        base: Any = next((base for base in kind.__mro__ if base in _STATE), None)
        if base in _CONTAINERS:
            found += [kind, base.__len__(each)]
            is_dict = issubclass(base, dict)
            inside = chain(base.keys(each), base.values(each)) if is_dict else base.__iter__(each)
            waiting += islice(inside, _MOST_COMPARED)
        elif base is not None:
            found.append(kind)
            with contextlib.suppress(Exception):  # it is closed, or not set
                waiting.append(_STATE[base](each))
        elif kind.__module__ in {"builtins", "itertools"} and issubclass(kind, _ITERATORS):
            found.append(object())  # to read from an iterator is to change it
        else:
            found.append(each)
    return found


def _is_same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(
        one is other or (type(one) is type(other) and isinstance(one, _COMPARED) and one == other)
        for one, other in zip(now, before, strict=True)
    )


def _reads(code: CodeType, kind: str, name: str) -> bool:
    """Tell whether code does more with a name than to write to what it means.

    ``kind`` is how it is loaded: as a GLOBAL, a DEREF (of a closure), a FAST or an ATTR. The names
    of instructions are those of CPython 3.11 to 3.15.
    """
    for each in codes_in(code):
        if kind == "DEREF" and each is not code and name not in each.co_freevars:
            continue
        steps = list(dis.get_instructions(each))
        for after, step in enumerate(steps, 1):
            loads = step.opname.replace("METHOD", "ATTR")  # as Python 3.11 loads what it calls
            loaded = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            if name in loaded and loads.startswith("LOAD_") and kind in loads:
                above = len(loaded) - 1 - loaded.index(name)
                if not _only_writes(steps[after:], kind, name, above):
                    return True
            if step.opname == f"DELETE_{kind}" and step.argval == name:
                return True  # an error tells that it is gone
    return False


def _only_writes(steps: list[dis.Instruction], kind: str, name: str, above: int) -> bool:
    """Tell whether the value that was loaded just before is only written to, or handed on.

    ``seen.append(x)``, ``seen[key] = x``, ``counts[key] += 1``, ``count += 1`` and ``args=[seen]``
    do no more; ``x in seen``, ``len(seen)`` and ``if count`` do. ``above`` is how much is above the
    value on the stack, and is followed until a step takes the value itself.
    """
    if not above and steps[0].opname in {"LOAD_ATTR", "LOAD_METHOD"}:
        return steps[0].argval in _ONLY_WRITE
    copied = False
    for step in steps:
        if step.opcode in dis.hasjrel or step.opcode in dis.hasjabs or step.opname in _ENTER:
            return False
        if step.opname in _COLLECT and above < (step.arg or 0) * _COLLECT[step.opname]:
            return True
        left = above + dis.stack_effect(step.opcode, step.arg, jump=False)
        if left < 0:  # it is taken
            rebinds = step.opname == f"STORE_{kind}" and step.argval == name
            sets_item = step.opname == "STORE_SUBSCR" and (above == 1 or copied)
            dropped = step.opname == "POP_TOP" and step is not steps[0]  # it tells if it is
            return rebinds or sets_item or dropped
        copied = copied or step.opname == "COPY"
        above = left
    return False
