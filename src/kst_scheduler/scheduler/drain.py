"""Bring the runs in progress to an end within a time limit, and say which were cut."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from apscheduler.events import EVENT_JOB_EXECUTED

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.scheduler.executor import EVENT_JOB_LOCKED_OUT
from kst_scheduler.scheduler.job_threads import runs_with_threads, threads_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apscheduler.events import JobExecutionEvent

    from kst_scheduler.scheduler.executor import Batch
    from kst_scheduler.scheduler.occurrence import Occurrence

CLEAN_UP_SECONDS: Final = 5.0
"""How long a cancelled job may take for its own ``except`` and ``finally`` blocks."""

POLL_SECONDS: Final = 0.05
"""How often executors other than OccurrenceExecutor are looked at: they cannot be awaited."""


class DrainResult(NamedTuple):
    """What a drain cut; all four are empty, and it is true, when every run ended by itself."""

    cancelled: tuple[Occurrence, ...] = ()
    """Cut in the middle: the job got CancelledError."""
    not_started: tuple[Occurrence, ...] = ()
    """Submitted before the drain and never begun: behind another run of their batch, say."""
    still_running: tuple[Occurrence, ...] = ()
    """In a thread, also one of ``asyncio.to_thread``, which cannot be cancelled, even where its job
    has given it up; or in a coroutine that does not let itself be."""
    other_jobs: tuple[str, ...] = ()
    """Ids of jobs that still run on other executors, which do not know the occurrence."""

    @property
    def complete(self) -> bool:
        """Whether every run ended by itself."""
        return not any(self)

    def __bool__(self) -> bool:
        return self.complete

    def __str__(self) -> str:
        groups = self._asdict().items()
        named = (f"{name}: {', '.join(map(str, group))}" for name, group in groups if group)
        return "; ".join(named) or "every run ended by itself"


def in_seconds(timeout: float | timedelta) -> float:
    """Return a time limit in seconds.

    Raises:
        InvalidArgumentError: it is negative, not finite or not a number.

    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise InvalidArgumentError(
            f"timeout={timeout!r} is not a time limit; write seconds, such as 20, or a timedelta"
        )
    return float(seconds)


def end_of_drain(seconds: float) -> float:
    """Return the loop's time at which a drain that begins now has ended, clean-up included."""
    return asyncio.get_running_loop().time() + seconds + CLEAN_UP_SECONDS


async def finish(
    batches: Mapping[asyncio.Future[list[JobExecutionEvent]], Batch],
    other_jobs: Callable[[], tuple[str, ...]],
    seconds: float,
) -> DrainResult:
    """Wait for closed batches, other executors' jobs and what ended runs have left in threads.

    Then cancel what can be cancelled.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    if batches:
        await asyncio.wait(batches, timeout=seconds)
    while (other_jobs() or runs_with_threads()) and (  # noqa: ASYNC110 - see POLL_SECONDS
        left := deadline - asyncio.get_running_loop().time()
    ) > 0:
        await asyncio.sleep(min(POLL_SECONDS, left))
    cut = [future for future, batch in batches.items() if not batch.in_thread and future.cancel()]
    if cut:
        await asyncio.wait(cut, timeout=CLEAN_UP_SECONDS)
    still_running = [
        batch.current
        for future, batch in batches.items()
        if batch.handed_out and (not future.done() or threads_of(batch.current))
    ]
    left_in_threads = [each for each in runs_with_threads() if each not in still_running]
    return DrainResult(
        cancelled=tuple(
            batches[future].current
            for future in cut
            if _was_cut(future) and not threads_of(batches[future].current)
        ),
        not_started=tuple(late for batch in batches.values() for late in batch.not_started),
        still_running=(*still_running, *left_in_threads),
        other_jobs=other_jobs(),
    )


def _was_cut(future: asyncio.Future[list[JobExecutionEvent]]) -> bool:
    """Tell whether a cancelled batch lost its run: a job may end well, or be locked out, first."""
    if not future.done() or future.cancelled():
        return False
    events = future.result()
    return bool(events) and events[-1].code not in (EVENT_JOB_EXECUTED, EVENT_JOB_LOCKED_OUT)
