"""The lock that simulated threads wait for, in virtual time.

Python's Condition, Semaphore, Event, Barrier, Queue and Future are built on locks. With this lock
in place of the real one, all of them wait in virtual time. RLock, SimpleQueue and local are written
in C; they are replaced by the standard library's Python versions, which see the simulated thread.
"""

from __future__ import annotations

import _thread
import _threading_local
import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from kst_scheduler.fire_times.instants import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from kst_scheduler.simulation.world import Strand, World

real_lock = _thread.allocate_lock
real_rlock = _thread.RLock

virtual_local = _threading_local.local

_FOREVER = -1


class VirtualLock:
    """A real lock; a simulated thread that finds it taken by another one waits in virtual time.

    Real threads may hold it, too, and after the simulation it is an ordinary lock.
    """

    __slots__ = ("__weakref__", "_find_world", "_holder", "_lock", "_waiting")

    def __init__(self, find_world: Callable[[], World | None]) -> None:
        self._find_world = find_world
        self._lock = real_lock()
        self._holder: World | None = None
        """The simulation that took it last; None: a real thread."""
        self._waiting: deque[Strand] = deque()

    def acquire(self, blocking: bool = True, timeout: float = _FOREVER) -> bool:
        """Take the lock; return whether it was taken, as ``threading.Lock.acquire``."""
        world = self._find_world()
        if world is None or world.current is None:
            return self._taken(self._lock.acquire(blocking, timeout), None)
        if self._taken(self._lock.acquire(False), world):
            return True
        if not blocking or timeout == 0:
            return self._lock.acquire(blocking, timeout)  # the C code checks the arguments
        if self._holder is not world:
            return self._taken(self._lock.acquire(blocking, timeout), world)
        if timeout < 0 and timeout != _FOREVER:
            raise ValueError("timeout value must be a non-negative number")
        return self._wait(world, world.current, timeout)

    def _wait(self, world: World, strand: Strand, timeout: float) -> bool:
        until = None if timeout == _FOREVER else world.now + round(timeout * SECOND)
        self._waiting.append(strand)
        try:
            while not self._taken(self._lock.acquire(False), world):
                if until is not None and world.now >= until:
                    return False
                world.block(until)
        finally:
            self._waiting.remove(strand)
        return True

    def _taken(self, taken: bool, holder: World | None) -> bool:
        if taken:
            self._holder = holder
        return taken

    def release(self) -> None:
        """Give the lock back; the one that waits longest looks at it first."""
        world, self._holder = self._holder, None
        self._lock.release()
        if self._waiting and world is not None:
            world.wake(self._waiting[0])

    def locked(self) -> bool:
        """Tell whether the lock is held."""
        return self._lock.locked()

    def _at_fork_reinit(self) -> None:
        self._lock = real_lock()
        self._waiting.clear()

    __enter__ = acquire

    def __exit__(self, *_exception: object) -> None:
        self.release()


def virtual_rlock() -> Any:
    """Return the standard library's RLock in Python, made of the lock that is there now."""
    return threading._RLock()


def virtual_simple_queue() -> Any:
    """Return the standard library's SimpleQueue in Python, made of the lock that is there now."""
    return queue._PySimpleQueue()  # type: ignore[attr-defined]
