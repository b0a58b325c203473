"""What simulated nodes share and real replicas do not: memory and locks of the reader's functions.

All nodes live in one process, so a global, a closure or a default is one for all of them, unless
each process executes the module for itself (``fresh_modules``). A set of what is done would be a
perfect guard there. A list that the jobs only append to guards nothing, and is how a reader sees
what has happened: so what counts is how the functions use the name.
"""

from __future__ import annotations

import asyncio
import dis
import logging
import sys
import threading
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.simulation.primitives import VirtualLock
from kst_scheduler.simulation.sources import PROGRAMS, global_names, is_the_readers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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

_COMPARED: Final = (bool, int, float, str, bytes, type(None))
_MOST_COMPARED: Final = 10_000
"""Values of one memory; of a larger one only the first are compared, and its length."""
_ONLY_WRITE: Final = frozenset(
    ("append", "appendleft", "extend", "extendleft", "insert", "add", "update", "clear", "discard")
)
"""Methods of lists, sets and dicts that return nothing and raise nothing, whatever is in them."""

_COLLECT: Final = {"BUILD_LIST": 1, "BUILD_TUPLE": 1, "BUILD_SET": 1, "BUILD_MAP": 2}
"""What puts values into a new list or dict, such as ``args=[seen]``, and how many for each."""


@dataclass
class Place:
    """Where a function finds a value."""

    name: str
    """As in "`seen`"."""
    owner: Any
    """What has it: a module's globals, a cell, or the function itself."""
    read: Callable[[], Any]
    uses: Callable[[], bool]
    """Tells whether the function reads it, rather than only writes to it."""
    before: Any = None

    @property
    def key(self) -> tuple[int, str]:
        """The same for each function that finds the same value."""
        return id(self.owner), self.name


class SharedMemory:
    """What the functions of a simulation can reach, and what it was before."""

    def __init__(self, functions: Iterable[Any]) -> None:
        self._places: dict[tuple[int, str], list[Place]] = {}
        self._reached_by: dict[tuple[int, str], set[int]] = {}
        """Which processes reach a place; all do when it is number 0."""
        self._processes = 0
        self._note(places(*functions))

    def look_at(self, jobs: Iterable[Job]) -> None:
        """Note what the jobs of one more process can reach, and what they are given."""
        self._processes += 1
        for job in jobs:
            self._note([*places(job.func), *_arguments(job)])

    def warn(self) -> None:
        """Log what the nodes have shared, if a guard could be made of it, and what locks."""
        shared = [
            found
            for key, found in self._places.items()
            if 0 in self._reached_by[key] or len(self._reached_by[key]) > 1
        ]
        locks = [found for found in shared if isinstance(found[0].before, LOCKS)]
        if guards := [found for found in shared if found not in locks and _is_guard(found)]:
            _logger.warning(
                "%s: all nodes of this simulation share it, as they live in one process, and the "
                "jobs read it; real replicas have each their own, and lose it in a crash. Keep it "
                "in a ledger, a database or Redis; or write register at the top level of a module, "
                "which each simulated process executes for itself",
                _names_of(guards),
            )
        if locks:
            _logger.warning(
                "%s: a lock that excludes within one process only, and all nodes of this "
                "simulation live in one; between real replicas it excludes nothing. Use once() "
                "with a ledger, or redis_lock()",
                _names_of(locks),
            )

    def _note(self, found: Iterable[Place]) -> None:
        for place in found:
            value = place.read()
            if not isinstance(value, (*PLAIN, *LOCKS)):
                continue
            place.before = value if isinstance(value, LOCKS) else _contents(value)
            self._places.setdefault(place.key, []).append(place)
            self._reached_by.setdefault(place.key, set()).add(self._processes)


def _is_guard(found: list[Place]) -> bool:
    now = _contents(found[0].read())
    return not _is_same(now, found[0].before) and any(place.uses() for place in found)


def _names_of(found: list[list[Place]]) -> str:
    return ", ".join(dict.fromkeys(places[0].name for places in found))


def places(*functions: Any) -> list[Place]:
    """Return where these functions, and the reader's functions that they name, find values.

    Looked at are globals, attributes of the reader's modules, closures and defaults.
    """
    waiting, seen, found = list(functions), set[int](), []
    while waiting:
        value = waiting.pop()
        if isinstance(value, partial):
            waiting += [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, MethodType):
            waiting.append(value.__func__)
        elif isinstance(value, FunctionType) and id(value) not in seen:
            seen.add(id(value))
            waiting.append(getattr(value, "__wrapped__", None))
            if _is_a_librarys(value):  # a decorator's: it holds the function that it decorates
                waiting += [each.read() for each in _of(value) if isinstance(each.owner, CellType)]
                continue
            for place in _of(value):
                found.append(place)
                waiting.append(place.read())
    return found


def _of(function: FunctionType) -> Iterator[Place]:
    code, everything = function.__code__, function.__globals__
    names = global_names(code)
    for name in sorted(names & everything.keys()):
        yield _item(name, name, everything, partial(_reads, code, "GLOBAL", name))
        if isinstance(module := everything[name], ModuleType) and is_the_readers(module):
            for each in sorted(names & vars(module).keys()):
                uses = partial(_reads, code, "ATTR", each)
                yield _item(f"{name}.{each}", each, vars(module), uses)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield Place(
            f"`{name}`",
            cell,
            partial(getattr, cell, "cell_contents", None),
            partial(_reads, code, "DEREF", name),
        )
    yield Place(
        "a default argument",
        function,
        partial(getattr, function, "__defaults__"),
        partial(_reads_a_default, function),
    )


def _arguments(job: Job) -> Iterator[Place]:
    """Yield the memory that a job is given as an argument; whose it is, its address tells."""
    code = getattr(job.func, "__code__", None)
    if code is not None:
        given = dict(zip(code.co_varnames, job.args, strict=False)) | job.kwargs
        for name, value in given.items():
            if isinstance(value, list | dict | set | deque | bytearray):
                uses = partial(_reads_an_argument, code, name)
                yield Place(f"`{name}`", value, partial(_itself, value), uses)


def _item(shown: str, name: str, values: dict[str, Any], uses: Callable[[], bool]) -> Place:
    return Place(f"`{shown}`", values, partial(values.get, name), uses)


def _is_a_librarys(function: FunctionType) -> bool:
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    return module is not None and module.__name__ not in PROGRAMS and not is_the_readers(module)


def _contents(value: Any) -> list[Any]:
    """Return what a memory is made of, flat, so that it can be compared with later."""
    found: list[Any] = []
    waiting = [value]
    for each in waiting:
        if len(found) >= _MOST_COMPARED:
            break
        if isinstance(each, bytearray):
            found.append(bytes(each))
        elif isinstance(each, dict | list | tuple | set | frozenset | deque):
            found += [type(each), len(each)]
            waiting += islice(each, _MOST_COMPARED)
            waiting += islice(each.values(), _MOST_COMPARED) if isinstance(each, dict) else ()
        else:
            found.append(each)
    return found


def _is_same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(
        one is other or (type(one) is type(other) and isinstance(one, _COMPARED) and one == other)
        for one, other in zip(now, before, strict=True)
    )


def _reads_a_default(function: FunctionType) -> bool:
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    return any(_reads_an_argument(code, name) for name in names)


def _reads_an_argument(code: CodeType, name: str) -> bool:
    # One that a function inside uses is in a cell.
    return any(_reads(code, kind, name) for kind in ("FAST", "DEREF"))


def _itself(value: Any) -> Any:
    return value


def _reads(code: CodeType, kind: str, name: str) -> bool:
    """Tell whether code does more with a name than to write to what it means.

    ``kind`` is how it is loaded: as a GLOBAL, a DEREF (of a closure), a FAST or an ATTR. The names
    of instructions are those of CPython 3.11 to 3.15.
    """
    steps = list(dis.get_instructions(code))
    for place, step in enumerate(steps):
        if step.opname.startswith("LOAD_") and kind in step.opname:
            loaded = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            above = len(loaded) - 1 - loaded.index(name) if name in loaded else 0
            if name in loaded and not _only_writes(steps[place + 1 :], name, above):
                return True
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return any(
        _reads(each, kind, name) for each in inner if kind != "DEREF" or name in each.co_freevars
    )


def _only_writes(steps: list[dis.Instruction], name: str, above: int) -> bool:
    """Tell whether the value that was loaded just before is only written to, or handed on.

    ``seen.append(x)``, ``seen[key] = x``, ``counts[key] += 1``, ``count += 1`` and ``args=[seen]``
    do no more; ``x in seen``, ``len(seen)`` and ``if count`` do. ``above`` is how much is above the
    value on the stack, and is followed until a step takes the value itself.
    """
    if not above and steps[0].opname in {"LOAD_ATTR", "LOAD_METHOD"}:
        return steps[0].argval in _ONLY_WRITE
    copied = False
    for step in steps:
        if step.opcode in dis.hasjrel or step.opcode in dis.hasjabs:
            return False
        if step.opname in _COLLECT and above < (step.arg or 0) * _COLLECT[step.opname]:
            return True
        left = above + dis.stack_effect(step.opcode, step.arg, jump=False)
        if left < 0:  # it is taken
            rebinds = step.opname in {"STORE_GLOBAL", "STORE_DEREF"} and step.argval == name
            sets_item = step.opname == "STORE_SUBSCR" and (above == 1 or copied)
            return rebinds or sets_item or step.opname == "POP_TOP"
        copied = copied or step.opname == "COPY"
        above = left
    return False
