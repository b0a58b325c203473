"""The threads that runs have begun: ``asyncio.to_thread`` goes on when its job is cancelled.

They share the event loop's default pool with its look-ups of host names, without which a ledger
gets no new connection: six blocked threads of jobs, on two cores, would cut the lease of a healthy
run. So look-ups get threads of their own.

Python cannot stop a thread. Cancelling ``await asyncio.to_thread(work)`` cancels the ``await``
alone, and the work goes on, unseen. So each thread of the loop's default pool is noted with the run
that began it: a drain names such a run as still running, and ``once`` waits for its threads, also
where the job has given them up and returned, before it lets go of lease and lock. Threads of other
pools (anyio's, ``threading.Thread``) are not seen, nor any on an event loop that hides its default
pool, as uvloop's does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kst_scheduler.scheduler.occurrence import RUNNING, Occurrence

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    Run = tuple[str, Any, bool]

MAX_LOOKUPS: Final = 32
"""Look-ups at a time, those of jobs and of the ledger alike; each may hang for half a minute."""


class _Threads:
    """The threads of one pool that are at work or wait for it, by the run that began them."""

    def __init__(self) -> None:
        self._futures: dict[Run, set[Future[Any]]] = {}
        self._lock = threading.Lock()

    def add(self, run: Run, future: Future[Any]) -> None:
        """Note a thread until it has ended."""
        with self._lock:
            self._futures.setdefault(run, set()).add(future)
        future.add_done_callback(lambda done: self._remove(run, done))

    def of(self, run: Run) -> list[Future[Any]]:
        """Return the threads of a run that have not ended."""
        with self._lock:
            return list(self._futures.get(run, ()))

    def runs(self) -> list[Run]:
        """Return the runs with threads that have not ended."""
        with self._lock:
            return list(self._futures)

    def _remove(self, run: Run, future: Future[Any]) -> None:
        with self._lock:
            found = self._futures.get(run, set())
            found.discard(future)
            if not found:
                self._futures.pop(run, None)


_OF_POOLS: Final[WeakKeyDictionary[Executor, _Threads]] = WeakKeyDictionary()


def watch_threads(loop: asyncio.AbstractEventLoop) -> None:
    """Note from now on which run begins each thread of the loop's default pool.

    Its look-ups of host names leave that pool for one of their own, which ends with it.
    """
    try:
        # Private, checked on CPython 3.11 to 3.15; guarded by tests/scheduler/test_job_threads.py.
        pool: Executor | None = loop._default_executor  # type: ignore[attr-defined]  # noqa: SLF001
    except AttributeError:
        return
    if pool is None:  # as the loop itself makes it, at its first use
        pool = ThreadPoolExecutor(thread_name_prefix="asyncio")
        loop.set_default_executor(pool)
    if pool not in _OF_POOLS:
        _OF_POOLS[pool] = threads = _Threads()
        lookups = ThreadPoolExecutor(MAX_LOOKUPS, "kst-scheduler-lookup")
        pool.submit = _sorting(pool.submit, lookups.submit, threads)  # type: ignore[method-assign]
        pool.shutdown = _both(lookups.shutdown, pool.shutdown)  # type: ignore[method-assign]


def threads_of(occurrence: Occurrence) -> int:
    """Return how many threads of a run are at work, or wait for a free one, on this event loop."""
    return len(_threads((occurrence.job_id, occurrence.scheduled_at, occurrence.manual)))


def runs_with_threads() -> list[Occurrence]:
    """Return the runs that have threads at work on this event loop, also those that have ended."""
    pool = getattr(asyncio.get_running_loop(), "_default_executor", None)
    threads = _OF_POOLS.get(pool) if pool is not None else None
    return [Occurrence(*run) for run in threads.runs()] if threads else []


def runs_with_threads_anywhere() -> list[Occurrence]:
    """Return the runs of this process, of any event loop, that have threads at work or waiting."""
    return [Occurrence(*run) for threads in list(_OF_POOLS.values()) for run in threads.runs()]


async def wait_for_threads() -> None:
    """Wait until the calling run has no thread at work, also while it is cancelled."""
    run, loop = RUNNING.get(), asyncio.get_running_loop()
    while run and (futures := _threads(run)):
        ended = asyncio.Event()

        def wake(_future: Future[Any], ended: asyncio.Event = ended) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed before the thread ended
                loop.call_soon_threadsafe(ended.set)

        futures[0].add_done_callback(wake)
        while not ended.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await ended.wait()


def _threads(run: Run) -> list[Future[Any]]:
    pool = getattr(asyncio.get_running_loop(), "_default_executor", None)
    threads = _OF_POOLS.get(pool) if pool is not None else None
    return threads.of(run) if threads else []


def _sorting(
    submit: Callable[..., Future[Any]], look_up: Callable[..., Future[Any]], threads: _Threads
) -> Callable[..., Future[Any]]:
    def sorting_submit(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if _is_look_up(function):
            return look_up(function, *args, **kwargs)
        future = submit(function, *args, **kwargs)
        run = RUNNING.get()
        if run is not None:
            threads.add(run, future)
        return future

    return sorting_submit


def _is_look_up(function: object) -> bool:
    """Tell whether the loop looks up a name by a function (CPython 3.11 to 3.15)."""
    in_debug_mode = getattr(function, "__name__", "") == "_getaddrinfo_debug"
    return in_debug_mode or function is socket.getaddrinfo or function is socket.getnameinfo


def _both(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def both(*args: Any, **kwargs: Any) -> None:
        first(*args, **kwargs)
        second(*args, **kwargs)

    return both
