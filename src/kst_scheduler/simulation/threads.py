"""Threads in virtual time: each thread that a simulated node starts is one of its strands."""

from __future__ import annotations

import _thread
import contextvars
import functools
import itertools
import logging
import sys
import threading
import weakref
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from greenlet import GreenletExit

from kst_scheduler.fire_times.instants import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from kst_scheduler.simulation.world import Host, Strand, World

_IDENTS: Final = itertools.count(2**62)
"""Idents of simulated threads: those of real ones are addresses, or small."""


class _Running:
    """What one simulated thread is, beside its strand."""

    def __init__(self, strand: Strand) -> None:
        self.strand = strand
        self.joining: list[Strand] = []


_running: WeakKeyDictionary[threading.Thread, _Running] = WeakKeyDictionary()
_alive: dict[threading.Thread, None] = {}


def is_simulated(thread: threading.Thread) -> bool:
    """Tell whether a thread was started by a simulated node."""
    return thread in _running


def start(world: World, thread: threading.Thread) -> None:
    """Do what ``Thread.start`` does, on a strand in place of a thread of the system."""
    if world.current is None:
        raise RuntimeError("only a simulated node has threads in virtual time")
    if thread._started.is_set():  # type: ignore[attr-defined]
        raise RuntimeError("threads can only be started once")
    context = getattr(thread, "_context", None)  # from 3.14 on
    if context is None:
        inherits = getattr(sys.flags, "thread_inherit_context", 0)
        context = contextvars.copy_context() if inherits else contextvars.Context()
    ident = next(_IDENTS)
    strand = world.spawn(
        world.current.host, functools.partial(_run, world, thread), context=context, ident=ident
    )
    _running[thread] = _Running(strand)
    thread._ident = ident  # type: ignore[attr-defined]
    threading._active[ident] = thread  # type: ignore[attr-defined]
    thread._started.set()  # type: ignore[attr-defined]
    _alive[thread] = None


def _run(world: World, thread: threading.Thread) -> None:
    try:
        thread.run()
    except GreenletExit:
        raise
    except SystemExit:
        pass
    except BaseException as error:  # noqa: BLE001 - as for a real thread
        if error is not world.failure:  # which ``simulate`` raises
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), thread)))
    _end(thread)
    for strand in _running[thread].joining:
        world.wake(strand)


def end_all() -> None:
    """End the threads that are left when a simulation is over."""
    for thread in list(_alive):
        _end(thread)


def _end(thread: threading.Thread) -> None:
    """Let the real ``is_alive`` and ``join`` know, too, that a thread has ended."""
    del _alive[thread]
    ident: int = thread._ident  # type: ignore[attr-defined]
    threading._active.pop(ident, None)  # type: ignore[attr-defined]
    thread._is_stopped = True  # type: ignore[attr-defined] # until 3.12
    make_handle = getattr(_thread, "_make_thread_handle", None)  # from 3.13 on
    if make_handle is not None:
        handle = make_handle(ident)  # its own one refuses to be done: it was never started
        handle._set_done()
        thread._handle = handle  # type: ignore[attr-defined]


def is_alive(thread: threading.Thread) -> bool:
    """Do what ``Thread.is_alive`` does, for a simulated thread."""
    strand = _running[thread].strand
    return not strand.greenlet.dead and not strand.killed


def join(world: World, thread: threading.Thread, timeout: float | None) -> None:
    """Do what ``Thread.join`` does, for a simulated thread."""
    running, strand = _running[thread], world.current
    if strand is running.strand:
        raise RuntimeError("cannot join current thread")
    if strand is None:
        return
    until = None if timeout is None else world.now + round(max(timeout, 0) * SECOND)
    running.joining.append(strand)
    while is_alive(thread) and (until is None or world.now < until):
        world.block(until)
    running.joining.remove(strand)


class _Workers:
    """The work that waits for a pool on one node, and the pool's threads there."""

    def __init__(self, world: World, host: Host, pool: ThreadPoolExecutor) -> None:
        self.host = host
        self.pool = weakref.ref(pool, lambda _gone: self.wake(world))
        self.threads: list[threading.Thread] = []
        self.idle: deque[Strand] = deque()
        self.queue: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self.is_broken = False

    @property
    def is_killed(self) -> bool:
        """Whether the node has crashed since."""
        return any(_running[thread].strand.killed for thread in self.threads)

    def wake(self, world: World) -> None:
        """Let all idle threads look whether they are still needed."""
        while self.idle:
            world.wake(self.idle.popleft())


_workers: WeakKeyDictionary[ThreadPoolExecutor, dict[str, _Workers]] = WeakKeyDictionary()
"""By the name of the node: a pool that was made before the simulation has threads on each."""


def submit(
    world: World,
    pool: ThreadPoolExecutor,
    function: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Future[Any]:
    """Do what ``ThreadPoolExecutor.submit`` does, with simulated threads."""
    if world.current is None:
        raise RuntimeError("only a simulated node has threads in virtual time")
    workers = _workers_of(world, world.current.host, pool)
    if workers.is_broken:
        raise BrokenThreadPool("a thread initializer failed, the thread pool is not usable anymore")
    if pool._shutdown:
        raise RuntimeError("cannot schedule new futures after shutdown")
    future: Future[Any] = Future()
    workers.queue.append((future, functools.partial(function, *args, **kwargs)))
    if workers.idle:
        world.wake(workers.idle.popleft())
    elif len(workers.threads) < pool._max_workers:  # private, checked on CPython 3.11 to 3.15
        name = f"{pool._thread_name_prefix or 'ThreadPoolExecutor'}_{len(workers.threads)}"
        serve = functools.partial(_serve, world, workers)
        thread = threading.Thread(target=serve, name=name, daemon=True)
        workers.threads.append(thread)
        start(world, thread)
    return future


def shut_down(world: World, pool: ThreadPoolExecutor, *, wait: bool, cancel_futures: bool) -> None:
    """Do the rest of what ``ThreadPoolExecutor.shutdown`` does."""
    if world.current is None:
        return
    workers = _workers_of(world, world.current.host, pool)
    while cancel_futures and workers.queue:
        workers.queue.popleft()[0].cancel()
    workers.wake(world)
    if wait:
        for thread in workers.threads:
            join(world, thread, None)


def _workers_of(world: World, host: Host, pool: ThreadPoolExecutor) -> _Workers:
    of_nodes = _workers.setdefault(pool, {})
    found = of_nodes.get(host.name)
    if found is None or found.host is not host or found.is_killed:
        found = of_nodes[host.name] = _Workers(world, host, pool)
    return found


def _serve(world: World, workers: _Workers) -> None:
    """Do the work of a pool's thread, until the pool is shut down and nothing waits any more."""
    try:
        _initialize(workers.pool())
    except BaseException:
        logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
        workers.is_broken = True
        while workers.queue:
            error = BrokenThreadPool("A thread initializer failed, the thread pool is broken")
            workers.queue.popleft()[0].set_exception(error)
        return
    while True:
        while workers.queue:
            _work(*workers.queue.popleft())
        if _is_over(workers.pool()):
            return
        strand = world.current
        assert strand is not None  # noqa: S101 - a strand runs this
        workers.idle.append(strand)
        world.block(None)


def _is_over(pool: ThreadPoolExecutor | None) -> bool:
    return pool is None or pool._shutdown


def _initialize(pool: Any) -> None:
    if hasattr(pool, "_create_worker_context"):  # from 3.14 on
        pool._create_worker_context().initialize()
    elif pool._initializer is not None:
        pool._initializer(*pool._initargs)


def _work(future: Future[Any], function: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - it belongs to the caller that waits for it
        future.set_exception(error)
    else:
        future.set_result(result)
