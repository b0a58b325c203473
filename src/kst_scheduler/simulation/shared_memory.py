"""Warn of memory and locks of the user's code that simulated nodes share, and replicas do not.

All nodes live in one real process, so they share each global, closure and object, unless each
simulated process has its own copy of the module (``fresh_modules``). A shared set of finished runs
would be a perfect guard against double runs. A list that the jobs only append to guards nothing. So
there is a warning only for what the jobs both read and change.
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
    ATOMS,
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
"""Types of plain memory; their contents are compared."""
LOCKS: Final = (
    *(asyncio.Lock, asyncio.Semaphore, asyncio.Condition),
    *(threading.Semaphore, threading.Condition, threading.Barrier),
    *(type(threading.Lock()), type(threading.RLock())),
    *(VirtualLock, threading._RLock),  # what stands for these two in a simulation
)
"""Locks that exclude within one process only."""

_FOLLOWED: Final = (FunctionType, MethodType, type)
"""Arguments of ``register`` of these types are not shared on purpose, unlike a ledger."""
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
"""Types that can be a memory, and which part of each is compared; None: its contents."""
_ITERATORS: Final = (Iterator, AsyncIterator)
_COMPARED: Final = (bool, int, float, str, bytes, type(None))
_MAX_COMPARED: Final = 10_000
"""So many values of one memory are compared, and its length."""
_ONLY_WRITE: Final = {
    *("append", "appendleft", "extend", "extendleft", "insert", "put", "put_nowait"),
    *("add", "update", "clear", "discard", "set"),
}
"""Methods that reveal nothing of the contents: they return nothing and raise nothing."""
_COLLECT: Final = {"BUILD_LIST": 1, "BUILD_TUPLE": 1, "BUILD_SET": 1, "BUILD_MAP": 2}
"""Instructions that put values into a new container, as ``args=[seen]``, and values per item."""
_ENTER: Final = {"BEFORE_WITH", "BEFORE_ASYNC_WITH", "LOAD_SPECIAL"}
"""Instructions that begin a ``with``."""


class SharedMemory:
    """The values that the functions of a simulation can reach, and their contents at the start."""

    def __init__(self, functions: Iterable[Any], handed: Iterable[Any] = ()) -> None:
        roots, self._handed = list(functions), list(handed)
        for each in roots:
            if isinstance(each, partial):
                roots.append(each.func)
                given = (*each.args, *each.keywords.values())
                self._handed += [value for value in given if type(value) not in _FOLLOWED]
        self._roots: list[list[Any]] = []
        """The functions that each process begins with; number 0 is common to all."""
        self._slots: dict[tuple[int, str], list[Slot]] = {}
        self._before: dict[tuple[int, str], list[Any]] = {}
        self._reached_by: dict[tuple[int, str], set[int]] = {}
        self._owners: dict[int, Any] = {}
        self._codes: dict[int, CodeType] = {}
        self._begin([each for each in roots if not isinstance(each, partial)])

    def look_at(self, jobs: Iterable[Job]) -> None:
        """Note what the jobs of one more process, and their arguments, can reach."""
        self._begin([partial(job.func, *job.args, **job.kwargs) for job in jobs])

    def warn(self) -> None:
        """Log the shared values that could serve as a guard, and the shared locks."""
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
                "%s: all nodes of this simulation share it, because they live in one process, and "
                "the jobs read it. Real replicas have one each, and lose it in a crash. Keep it in "
                "a ledger, a database or Redis; or write register at the top level of a module, "
                "which each simulated process executes for itself",
                names,
            )
        if names := self._names_of_read(locks):
            _logger.warning(
                "%s: a lock that excludes within one process only. All nodes of this simulation "
                "live in one process; between real replicas the lock excludes nothing. Use once() "
                "with a ledger, or redis_lock()",
                names,
            )

    def _begin(self, roots: list[Any]) -> None:
        self._roots.append(roots)
        self._note(len(self._roots) - 1)

    def _note(self, process: int, *, is_late: bool = False) -> None:
        """Note each slot and its contents; a slot that is new since the start was empty."""
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
    """Tell whether code reads the value of a slot: the slot's own code, or any of ``codes``."""
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
    """Return the contents of a memory as a flat list, to be compared later."""
    found: list[Any] = []
    waiting = [value]
    for each in waiting:
        if len(found) >= _MAX_COMPARED:
            break
        kind = type(each)
        if kind in ATOMS:
            found.append(each)
            continue
        base: Any = next((base for base in kind.__mro__ if base in _STATE), None)
        if base in _CONTAINERS:
            found += [kind, base.__len__(each)]
            is_dict = issubclass(base, dict)
            inside = chain(base.keys(each), base.values(each)) if is_dict else base.__iter__(each)
            waiting += islice(inside, _MAX_COMPARED)
        elif base is not None:
            found.append(kind)
            with contextlib.suppress(Exception):  # it is closed, or not set
                waiting.append(_STATE[base](each))
        elif kind.__module__ in {"builtins", "itertools"} and issubclass(kind, _ITERATORS):
            found.append(object())  # reading an iterator changes it
        else:
            found.append(each)
    return found


def _is_same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(
        one is other or (type(one) is type(other) and isinstance(one, _COMPARED) and one == other)
        for one, other in zip(now, before, strict=True)
    )


def _reads(code: CodeType, kind: str, name: str) -> bool:
    """Tell whether code reads the value of a name, rather than only writing to it.

    ``kind`` is how it is loaded: as a GLOBAL, a DEREF (of a closure), a FAST or an ATTR. The names
    of instructions are those of CPython 3.11 to 3.15.
    """
    for each in codes_in(code):
        named = (each.co_names, each.co_varnames, each.co_cellvars, each.co_freevars)
        if not any(name in names for names in named):
            continue  # without its instructions, for they take long to disassemble
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
    """Tell whether the value that was just loaded is only written to, or passed on.

    True for ``seen.append(x)``, ``seen[key] = x``, ``counts[key] += 1``, ``count += 1`` and
    ``args=[seen]``; False for ``x in seen``, ``len(seen)`` and ``if count``. ``above`` counts the
    values above it on the stack. The steps are followed until one takes the value itself.
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
