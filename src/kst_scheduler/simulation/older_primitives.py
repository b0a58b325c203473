"""Locks and thread locals that the user's code created before the simulation began.

The real ones tell only threads of the system apart, and all simulated threads run in one of those.
So each that ``register`` can reach is replaced by a virtual one while the simulation runs.
"""

from __future__ import annotations

import _thread
import threading
from typing import TYPE_CHECKING, Any

from kst_scheduler.simulation.reach import Reach, exchanged

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


def virtual_primitives(register: Callable[..., object]) -> AbstractContextManager[None]:
    """Put virtual primitives where ``register`` can reach real ones, and put these back."""
    made: dict[int, Any] = {}

    def stand_in(value: Any) -> Any:
        if id(value) not in made:
            made[id(value)] = _virtual(value)
        return made[id(value)]

    return exchanged(Reach(register).slots, stand_in)


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
