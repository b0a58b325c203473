"""The jobs of a scheduler that are run once on a ledger, those included that have left it.

APScheduler removes a job when its trigger has no further fire time: a one-shot job is gone once
it has fired, also where that was too late and it did not run, or where its run is lost later; and
KSTScheduler removes one whose trigger had ended before it was added. A job that its owner removed
is not caught up, but a run of it that another replica lost is closed.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from apscheduler.events import (
    EVENT_ALL_JOBS_REMOVED,
    EVENT_JOB_ADDED,
    EVENT_JOB_MODIFIED,
    EVENT_JOB_REMOVED,
)

from kst_scheduler.fire_times.instants import MICROSECOND
from kst_scheduler.once.decorator import OnceJob
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apscheduler.events import SchedulerEvent
    from apscheduler.job import Job
    from apscheduler.schedulers.base import BaseScheduler

    from kst_scheduler.ledger import Ledger

MAX_REMOVED: Final = 1_000
"""How many jobs are remembered that their owner has removed."""


class OnceJobs:
    """What jobs there are; it listens to the scheduler from the moment it is made until ``close``.

    After ``close``, ``open`` finds the jobs that have left the scheduler meanwhile.
    """

    def __init__(self, scheduler: BaseScheduler, ledger: Ledger) -> None:
        self._scheduler = scheduler
        self._ledger = ledger
        self._seen: dict[str, Job] = {}
        self._over: dict[str, Job] = {}
        self._removed: dict[str, Job] = {}
        self._ended_before: set[str] = set()
        """The ids of jobs whose trigger had ended when they were added."""
        self._paused_at: dict[str, datetime] = {}
        """When each job was paused here, by this host's clock, as its fires are."""
        self._listens = False
        self.open()

    def open(self) -> None:
        """Listen, and find what has left the scheduler since ``close``."""
        if self._listens:
            return
        seen = dict(self._seen)
        self.all()
        for job in seen.values():
            if job.id not in self._seen:
                self._left(job)
        mask = EVENT_JOB_ADDED | EVENT_JOB_MODIFIED | EVENT_JOB_REMOVED | EVENT_ALL_JOBS_REMOVED
        self._scheduler.add_listener(self._on_event, mask)
        self._listens = True

    def all(self) -> list[tuple[Job, OnceJob]]:
        """Return the scheduler's jobs on this ledger, and those that are over, and how they run."""
        found = self._once_jobs(self._scheduler.get_jobs())
        self._seen = {job.id: job for job, _ in found}
        return [*found, *self._once_jobs(self._over.values())]

    def removed(self) -> list[tuple[Job, OnceJob]]:
        """Return the jobs that their owner has removed here; other replicas may still run them."""
        return self._once_jobs(self._removed.values())

    def is_over(self, job: Job) -> bool:
        """Tell whether a job has left the scheduler because its last fire time has gone by."""
        return job.id in self._over

    def paused_at(self, job: Job) -> datetime | None:
        """Return when a job was paused here; None: it is not, or that was not heard."""
        return self._paused_at.get(job.id)

    def drop(self, job: Job) -> None:
        """Forget a job that is over."""
        self._over.pop(job.id, None)

    def close(self) -> None:
        """Listen no more."""
        self._scheduler.remove_listener(self._on_event)
        self._paused_at.clear()
        self._listens = False

    def _on_event(self, event: SchedulerEvent) -> None:
        if event.code == EVENT_JOB_MODIFIED:
            self._modified(event.job_id, event.jobstore)
        elif event.code == EVENT_ALL_JOBS_REMOVED:
            self._paused_at.clear()
            for job_id in list(self._seen):
                self._left(self._seen.pop(job_id))
        elif event.code == EVENT_JOB_ADDED:
            self._over.pop(event.job_id, None)
            self._removed.pop(event.job_id, None)
            self._paused_at.pop(event.job_id, None)
            job = self._scheduler.get_job(event.job_id, event.jobstore)
            if job is not None and self._once(job):
                self._seen[job.id] = job
                ended = fires_no_more(job, datetime.now(UTC))
                (self._ended_before.add if ended else self._ended_before.discard)(job.id)
        elif event.job_id in self._seen:
            self._paused_at.pop(event.job_id, None)
            self._left(self._seen.pop(event.job_id))

    def _modified(self, job_id: str, jobstore: str) -> None:
        job = self._scheduler.get_job(job_id, jobstore)
        if job is None or getattr(job, "next_run_time", job) is not None:
            self._paused_at.pop(job_id, None)
        else:
            self._paused_at.setdefault(job_id, datetime.now(UTC))

    def _left(self, job: Job) -> None:
        """Keep a job that has left the scheduler, as one that is over or was removed.

        One that was paused is not over, whatever its trigger says: its owner did not want its runs.
        """
        is_paused = getattr(job, "next_run_time", job) is None and job.id not in self._ended_before
        is_over = not is_paused and fires_no_more(job, datetime.now(UTC) + MICROSECOND)
        self._ended_before.discard(job.id)
        (self._over if is_over else self._removed)[job.id] = job
        if len(self._removed) > MAX_REMOVED:
            del self._removed[next(iter(self._removed))]

    def _once_jobs(self, jobs: Iterable[Job]) -> list[tuple[Job, OnceJob]]:
        return [(job, once_job) for job in jobs if (once_job := self._once(job))]

    def _once(self, job: Job) -> OnceJob | None:
        """Return how a job is run once on this ledger; None for any other job."""
        once_job = once_of(job)
        return once_job if once_job and once_job.ledger is self._ledger else None


def once_of(job: Job) -> OnceJob | None:
    """Return how a job is run once; None for any other job."""
    function = job.func
    while isinstance(function, partial):
        function = function.func
    found = getattr(function, "once", None)
    return found if isinstance(found, OnceJob) else None


def fires_no_more(job: Job, moment: datetime) -> bool:
    """Tell whether a job's trigger has no fire time from a moment on."""
    fire = job.trigger.get_next_fire_time(None, moment)
    return fire is None or fire < moment  # a date trigger answers its date, also when it is past
