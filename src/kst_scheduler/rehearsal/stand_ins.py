"""What runs in place of the reader's jobs: it lasts as long, and does nothing."""

from __future__ import annotations

import asyncio
import functools
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.rehearsal.stretches import unstretched
from kst_scheduler.scheduler.executor import returns_awaitable
from kst_scheduler.scheduler.occurrence import current_occurrence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apscheduler.job import Job

MAX_GAP: Final = 3600.0
"""A run of a job that fires less often is as long as it is said to be."""
LONG: Final = 1.2
"""How much of the time to the next fire a run lasts where runs are long."""


class StandIns:
    """Gives each job a function that lasts for some seconds.

    A job under ``once`` keeps its claim, its lease and its row: only what it wraps is replaced.

    Args:
        seconds: how long a job lasts, by its name.
        default: how long any other one lasts, or half the time to its next fire if that is shorter.

    """

    def __init__(self, seconds: Mapping[str, float], default: float) -> None:
        self._seconds = dict(seconds)
        self._default = default
        self.long: list[tuple[int, int]] = []
        """When each run lasts longer than the time to the next, in microseconds since 1970."""

    def seconds_of(self, name: str) -> float:
        """Return how many seconds a job lasts."""
        return self._seconds.get(name, self._default)

    def of(self, job: Job, name: str) -> Callable[..., Any]:
        """Return what runs in place of a job's function; it is ``async def`` if that is."""
        own: Callable[..., Any] = job.func
        if is_ours(own):
            return own
        seconds = self._seconds_now(job, name)
        once = getattr(job.func, "once", None)
        if once is not None:
            return functools.partial(_once, once, seconds)
        if is_async(job.func):
            return functools.partial(_wait, seconds)
        return functools.partial(_sleep, seconds)

    def _seconds_now(self, job: Job, name: str) -> float:
        seconds, gap = self.seconds_of(name), _gap(job)
        if gap is None or gap > MAX_GAP:
            return seconds
        now = time.time_ns() // 1000
        if any(begin <= now < end for begin, end in self.long):
            return max(seconds, LONG * gap)
        return seconds if name in self._seconds else min(seconds, gap / 2)


def _gap(job: Job) -> float | None:
    """Return the seconds from now to the next fire; None: there is none."""
    now = datetime.now(UTC)
    fire = unstretched(job.trigger).get_next_fire_time(now, now)
    return None if fire is None else (fire - now).total_seconds()


def is_ours(function: Any) -> bool:
    """Tell whether a job is a function of this package, such as ``Reconciler.reconcile``.

    It runs as it is, on each replica, as it is meant to.
    """
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__module__", "")).startswith(f"{__package__.partition('.')[0]}.")


def is_async(function: Any) -> bool:
    """Tell whether a job's function is ``async def``, or an object whose ``__call__`` is."""
    while isinstance(function, functools.partial):
        function = function.func
    return returns_awaitable(function)


async def _once(once: Any, seconds: float, *_args: Any, **_kwargs: Any) -> Any:
    return await once.run(current_occurrence(), functools.partial(_wait, seconds))


async def _wait(seconds: float, *_args: Any, **_kwargs: Any) -> None:
    await asyncio.sleep(seconds)


def _sleep(seconds: float, *_args: Any, **_kwargs: Any) -> None:
    time.sleep(seconds)
