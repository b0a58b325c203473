"""Watch what APScheduler finds due, before it coalesces it.

Run times that are coalesced away have no event, and working them out again from the trigger is
wrong with jitter. ``Job._get_run_times`` is where they are seen exactly. It is private; checked on
APScheduler 3.11.3, and guarded by tests/runs/test_recorder.py. A job has slots, so a single one
cannot be patched: the class is, while anybody watches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from apscheduler.job import Job

from kst_scheduler.errors import InvalidArgumentError

if TYPE_CHECKING:
    from datetime import datetime

    from apscheduler.schedulers.base import BaseScheduler


class DueWatcher(Protocol):
    """What is told of due run times."""

    def due(self, job: Job, run_times: list[datetime]) -> None:
        """Hear of two or more run times of a job that are due at once."""


_library_get_run_times = Job._get_run_times
_watched_schedulers: WeakSet[BaseScheduler] = WeakSet()


def _get_run_times(job: Job, now: datetime) -> list[datetime]:
    run_times: list[datetime] = _library_get_run_times(job, now)
    if len(run_times) > 1:
        watcher = getattr(job._scheduler, "_due_watcher", None)
        if watcher is not None:
            watcher.due(job, run_times)
    return run_times


def watch_due_jobs(scheduler: BaseScheduler, watcher: DueWatcher) -> None:
    """Tell ``watcher`` of every list of run times that a job of ``scheduler`` finds due.

    Raises:
        InvalidArgumentError: the scheduler is watched already.

    """
    if scheduler in _watched_schedulers:
        raise InvalidArgumentError("this scheduler has a RunRecorder already; read its .runs")
    scheduler._due_watcher = watcher
    _watched_schedulers.add(scheduler)
    Job._get_run_times = _get_run_times


def stop_watching_due_jobs(scheduler: BaseScheduler) -> None:
    """Watch no more; the last one to go leaves the class as it was."""
    scheduler._due_watcher = None
    _watched_schedulers.discard(scheduler)
    if not _watched_schedulers:
        Job._get_run_times = _library_get_run_times
