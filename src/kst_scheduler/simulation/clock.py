"""The virtual clock of the simulating thread; every other thread keeps the real clock.

time-machine patches ``datetime`` and ``time`` in C, once. Its traveller is replaced by one that
reads the time from the world, so no patch changes while virtual time passes.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import functools
import multiprocessing.connection
import multiprocessing.pool
import multiprocessing.process
import multiprocessing.queues
import multiprocessing.synchronize
import os
import pkgutil
import queue
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import _time_machine  # type: ignore[import-not-found]
import apscheduler.executors.base
import apscheduler.schedulers.base
import time_machine
from apscheduler.schedulers.base import BaseScheduler

from kst_scheduler.errors import SimulationError
from kst_scheduler.fire_times.instants import SECOND, moment_at
from kst_scheduler.simulation import threads
from kst_scheduler.simulation.loop import VirtualLoop, as_completed
from kst_scheduler.simulation.primitives import (
    VirtualLock,
    real_rlock,
    virtual_local,
    virtual_rlock,
    virtual_simple_queue,
)
from kst_scheduler.simulation.sqlite_waits import WaitingConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import tzinfo

    from kst_scheduler.simulation.world import World

_world: World | None = None
_one_at_a_time = threading.Lock()

_real_thread_start = threading.Thread.start
_real_thread_join = threading.Thread.join
_real_thread_is_alive = threading.Thread.is_alive
_real_submit = ThreadPoolExecutor.submit
_real_shutdown = ThreadPoolExecutor.shutdown


def current_world() -> World | None:
    """Return the world that runs in this thread, or None outside a simulation."""
    world = _world
    return world if world is not None and world.thread_id == _thread.get_ident() else None


@contextlib.contextmanager
def virtual_time(world: World) -> Iterator[None]:
    """Give the calling thread the world's time, and put everything back at the end.

    The patches are process-wide, so one simulation runs at a time. Those of other threads wait.
    """
    global _world  # noqa: PLW0603 - one simulation a process, see above
    if current_world() is not None:
        raise SimulationError("a simulated job cannot start a simulation of its own")
    with _one_at_a_time, _outside_any_loop():
        trip = time_machine.travel(0, tick=False)  # an int, as a zoned time would set TZ
        trip.start()
        # Private: the stack's last traveller answers every call (time-machine 3.6.0).
        time_machine.traveller_stack[-1] = _WorldTraveller(0, None, tick=False)
        _world = world
        try:
            with _patches():
                yield
        finally:
            _world = None
            trip.stop()
            threads.end_all()


@contextlib.contextmanager
def real_time() -> Iterator[None]:
    """Give the simulating thread the real clock for a moment."""
    global _world  # noqa: PLW0603 - see virtual_time
    world, _world = _world, None
    try:
        yield
    finally:
        _world = world


_ABOUT_PROCESSES: Final = (
    (subprocess.Popen, "wait"),
    (subprocess.Popen, "communicate"),
    (multiprocessing.process.BaseProcess, "join"),
    (multiprocessing.queues.Queue, "get"),
    (multiprocessing.queues.Queue, "put"),  # starts a thread, which feeds the other process
    (multiprocessing.queues.JoinableQueue, "put"),
    (multiprocessing.synchronize.Condition, "wait_for"),
)
"""Methods that wait for another process, which has the real clock, with their own timeout."""


def _in_real_time(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if current_world() is None:
            return method(*args, **kwargs)
        with real_time():
            return method(*args, **kwargs)

    return call


_POOLS: Final = (
    (ProcessPoolExecutor, "submit"),
    (multiprocessing.pool.Pool, "__init__"),
    # For one that was made before: what takes work calls it (private, CPython 3.11 to 3.15).
    (multiprocessing.pool.Pool, "_check_running"),
)
"""Methods that hand work to other processes through threads, which wait for the results."""


def _refused(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(pool: Any, *args: Any, **kwargs: Any) -> Any:
        if current_world() is None:
            return method(pool, *args, **kwargs)
        vars(pool).setdefault("_state", multiprocessing.pool.INIT)  # what Pool.__del__ looks at
        raise SimulationError(
            "a process pool runs in real time, so a simulation cannot use it; use the "
            "ThreadPoolExecutor of concurrent.futures there"
        )

    return call


def _leave_world() -> None:
    """Give a forked process the real clock: no simulation runs there to end a virtual sleep."""
    global _world  # noqa: PLW0603 - see virtual_time
    _world = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_world)


class _WorldTraveller(time_machine.Traveller):
    def time_ns(self) -> int:
        world = _world
        if world is None or world.thread_id != _thread.get_ident():
            real: int = _time_machine.original_time_ns()
            return real
        return world.wall_clock() * 1000


class _LibraryDatetime(datetime):
    """The ``datetime`` of the two modules of APScheduler that read the clock for every fire.

    They use no more of it than ``now`` (3.11.3). It takes half as long as time-machine's, which
    builds two datetimes a call.
    """

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        world = current_world()
        if world is None or tz is None:
            return datetime.now(tz)
        return moment_at(world.wall_clock()).astimezone(tz)


@contextlib.contextmanager
def _outside_any_loop() -> Iterator[None]:
    """Hide a loop that runs already, such as an interactive session's, and its current task."""
    loop = asyncio._get_running_loop()
    if loop is None:
        yield
        return
    task = asyncio.current_task(loop)
    if task is not None:
        asyncio._leave_task(loop, task)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)
        if task is not None:
            asyncio._enter_task(loop, task)


@contextlib.contextmanager
def _patches() -> Iterator[None]:
    """Patch what time-machine leaves alone: waiting, the monotonic clock, threads, new loops."""
    methods: list[tuple[Any, str, Any]] = [
        (threading.Thread, "start", _thread_start),
        (threading.Thread, "join", _thread_join),
        (threading.Thread, "is_alive", _thread_is_alive),
        (ThreadPoolExecutor, "submit", _submit),
        (ThreadPoolExecutor, "shutdown", _shutdown),
        *((owner, name, _in_real_time(getattr(owner, name))) for owner, name in _ABOUT_PROCESSES),
        *((owner, name, _refused(getattr(owner, name))) for owner, name in _POOLS),
        # A scheduler never waits while it holds one, and it takes five for each fire.
        (BaseScheduler, "_create_lock", lambda _scheduler: real_rlock()),
        (apscheduler.schedulers.base, "datetime", _LibraryDatetime),
        (apscheduler.executors.base, "datetime", _LibraryDatetime),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in methods]
    names = _names.find()
    try:
        for owner, name, value in methods:
            setattr(owner, name, value)
        for namespace, name, original in names:
            namespace[name] = _REPLACED[id(original)][1]
        yield
    finally:
        for namespace, name, original in names:
            namespace[name] = original
        for owner, name, value in originals:
            setattr(owner, name, value)


class _Either:
    """A stand-in for a function or class of the standard library: virtual within a simulation.

    That of a class still works in ``isinstance``, as a base class and with subscripts.
    """

    def __init__(self, real: Any, virtual: Callable[..., Any]) -> None:
        self._real = real
        self._virtual = virtual
        self.__name__ = getattr(real, "__name__", "")
        self.__doc__ = real.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        world = current_world()
        if world is None:
            return self._real(*args, **kwargs)
        return self._virtual(world, *args, **kwargs)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real)

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> tuple[Any, ...]:
        is_virtual = self._real is _thread._local and current_world() is not None
        return (virtual_local if is_virtual else self._real,)

    def __getitem__(self, _item: Any) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __reduce__(self) -> tuple[Any, ...]:  # pickled for another process, it is the real one
        return pkgutil.resolve_name, (f"{self._real.__module__}:{self._real.__qualname__}",)

    def __deepcopy__(self, _memo: dict[int, Any]) -> _Either:  # as of a function
        return self


def _since_start(world: World) -> float:
    world.count_read()
    return world.elapsed / SECOND


def _since_start_ns(world: World) -> int:
    world.count_read()
    return world.elapsed * 1000


def _clocks(*names: str) -> set[int]:
    """Return the numbers of the named system clocks; those that this machine lacks are left out."""
    return {getattr(time, f"CLOCK_{name}") for name in names if hasattr(time, f"CLOCK_{name}")}


def _sleep(world: World, seconds: Any, /) -> None:
    if not isinstance(seconds, int | float) or not seconds >= 0:
        time_sleep(seconds)  # raises, or takes what can be an index
        seconds = seconds.__index__()
    world.sleep(seconds)


def _ctime(_world: World, seconds: float | None = None, /) -> str:
    return time_ctime(time.time() if seconds is None else seconds)


def _asctime(_world: World, *moment: Any) -> str:
    return time_asctime(*(moment or (time.localtime(),)))


_WALL_CLOCKS: Final = _clocks("REALTIME", "TAI")
_MONOTONIC_CLOCKS: Final = _clocks(
    *("MONOTONIC", "MONOTONIC_RAW", "MONOTONIC_RAW_APPROX", "BOOTTIME", "HIGHRES"),
    *("UPTIME", "UPTIME_RAW", "UPTIME_RAW_APPROX"),
)


def _clock_gettime(world: World, clock: Any, /) -> float:
    if clock in _MONOTONIC_CLOCKS:
        return _since_start(world)
    return time.time() if clock in _WALL_CLOCKS else time_clock_gettime(clock)


def _clock_gettime_ns(world: World, clock: Any, /) -> int:
    if clock in _MONOTONIC_CLOCKS:
        return _since_start_ns(world)
    return time.time_ns() if clock in _WALL_CLOCKS else time_clock_gettime_ns(clock)


def _wait_for_connections(_world: World, *args: Any, **kwargs: Any) -> list[Any]:
    with real_time():
        return connection_wait(*args, **kwargs)


def _get_ident(world: World) -> int:
    return world.current.ident if world.current is not None else world.thread_id


def _new_event_loop(world: World) -> asyncio.AbstractEventLoop:
    return VirtualLoop(world)


def _get_event_loop(world: World, **_stacklevel: int) -> asyncio.AbstractEventLoop:
    """Return the strand's own loop, not that of the real thread, which may be a session's."""
    loop = asyncio._get_running_loop()
    if loop is None and world.current is not None:
        loop = world.current.set_loop
    if loop is None:
        name = threading.current_thread().name
        raise RuntimeError(f"There is no current event loop in thread {name!r}.")
    return loop


def _set_event_loop(world: World, loop: asyncio.AbstractEventLoop | None) -> None:
    if world.current is not None:
        world.current.set_loop = loop


def _connect_to_sqlite(_world: World, *args: Any, **kwargs: Any) -> Any:
    """Connect without SQLite's own wait for a lock; a class of the reader's own does not wait."""
    if "factory" not in kwargs and len(args) < _SQLITE_FACTORY:
        return sqlite_connect(*args, **kwargs, factory=WaitingConnection)
    if len(args) > 1:
        args = (args[0], 0, *args[2:])
    else:
        kwargs["timeout"] = 0
    return sqlite_connect(*args, **kwargs)


sqlite_connect = sqlite3.connect
_SQLITE_FACTORY: Final = 6
"""So many arguments of ``sqlite3.connect`` include the factory."""
connection_wait = multiprocessing.connection.wait
time_sleep, time_ctime, time_asctime = time.sleep, time.ctime, time.asctime

_VIRTUAL: Final[list[tuple[Any, Callable[..., Any]]]] = [
    (time.sleep, _sleep),
    (time.monotonic, _since_start),
    (time.monotonic_ns, _since_start_ns),
    (time.perf_counter, _since_start),
    (time.perf_counter_ns, _since_start_ns),
    (time.ctime, _ctime),
    (time.asctime, _asctime),
    (threading.get_ident, _get_ident),
    (threading.Lock, lambda _world: VirtualLock(current_world)),
    (_thread.allocate_lock, lambda _world: VirtualLock(current_world)),
    (_thread.RLock, lambda _world: virtual_rlock()),
    (queue.SimpleQueue, lambda _world: virtual_simple_queue()),
    (threading.local, lambda _world, *args, **kwargs: virtual_local(*args, **kwargs)),
    (asyncio.events.new_event_loop, _new_event_loop),
    (asyncio.events.get_event_loop, _get_event_loop),
    (asyncio.events.set_event_loop, _set_event_loop),
    (asyncio.as_completed, as_completed),
    (sqlite3.connect, _connect_to_sqlite),
    (connection_wait, _wait_for_connections),
]
if hasattr(time, "clock_gettime"):
    time_clock_gettime, time_clock_gettime_ns = time.clock_gettime, time.clock_gettime_ns
    _VIRTUAL.append((time_clock_gettime, _clock_gettime))
    _VIRTUAL.append((time_clock_gettime_ns, _clock_gettime_ns))
if sys.version_info < (3, 12):  # what the library itself asks there
    _VIRTUAL.append((asyncio.events._get_event_loop, _get_event_loop))  # type: ignore[attr-defined]
_REPLACED: Final = {id(real): (real, _Either(real, virtual)) for real, virtual in _VIRTUAL}
"""Replaced in every module, under whatever name it was imported."""

_KEEP: Final = ("_thread", "_queue", "kst_scheduler.simulation.", "importlib.")
"""Modules that keep the real functions, because the virtual ones are built on them."""


class _Names:
    """Every module's names for what is replaced, ``from time import sleep`` included."""

    def __init__(self) -> None:
        self._seen: dict[str, Any] = {}
        self._found: list[tuple[dict[str, Any], str, Any]] = []

    def find(self) -> list[tuple[dict[str, Any], str, Any]]:
        """Return namespace, name and original of each; only new modules are searched."""
        modules = dict(sys.modules)
        for name, module in modules.items():
            if self._seen.get(name) is not module:
                self._seen[name] = module
                self._found += self._search(name, module)
        main = modules.get("__main__")
        later = self._search("__main__", main) if main is not None else []
        return [*self._found, *later]

    def _search(self, name: str, module: Any) -> list[tuple[dict[str, Any], str, Any]]:
        namespace = getattr(module, "__dict__", None)
        if type(namespace) is not dict or name.startswith(_KEEP):
            return []
        return [
            (namespace, each, value)
            for each, value in list(namespace.items())
            if id(value) in _REPLACED and value is _REPLACED[id(value)][0]
        ]


_names = _Names()


def _thread_start(thread: threading.Thread) -> None:
    world = current_world()
    if world is None or world.current is None:
        _real_thread_start(thread)
    else:
        threads.start(world, thread)


def _thread_join(thread: threading.Thread, timeout: float | None = None) -> None:
    world = current_world()
    if world is None or not threads.is_simulated(thread):
        _real_thread_join(thread, timeout)
    else:
        threads.join(world, thread, timeout)


def _thread_is_alive(thread: threading.Thread) -> bool:
    simulated = current_world() is not None and threads.is_simulated(thread)
    return threads.is_alive(thread) if simulated else _real_thread_is_alive(thread)


def _submit(pool: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    world = current_world()
    if world is None:
        return _real_submit(pool, function, *args, **kwargs)
    return threads.submit(world, pool, function, *args, **kwargs)


def _shutdown(pool: Any, wait: bool = True, *, cancel_futures: bool = False) -> None:
    world = current_world()
    if world is None:
        _real_shutdown(pool, wait, cancel_futures=cancel_futures)
        return
    _real_shutdown(pool, wait=False, cancel_futures=cancel_futures)
    threads.shut_down(world, pool, wait=wait, cancel_futures=cancel_futures)
