"""The jobs of a scheduler that are run once on a ledger, those included that are over.

APScheduler removes a job when its trigger has no further fire time: a one-shot job is gone once
it has fired, also where that was too late and it did not run, or where its run is lost later.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from apscheduler.events import EVENT_ALL_JOBS_REMOVED, EVENT_JOB_ADDED, EVENT_JOB_REMOVED

from kst_scheduler.fire_times.instants import MICROSECOND
from kst_scheduler.once import OnceJob
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from apscheduler.events import SchedulerEvent
    from apscheduler.job import Job
    from apscheduler.schedulers.base import BaseScheduler

    from kst_scheduler.ledger import Ledger


class OnceJobs:
    """What jobs there are; it listens to the scheduler from the moment it is made."""

    def __init__(self, scheduler: BaseScheduler, ledger: Ledger) -> None:
        self._scheduler = scheduler
        self._ledger = ledger
        self._seen: dict[str, Job] = {}
        self._over: dict[str, Job] = {}
        self.all()
        mask = EVENT_JOB_ADDED | EVENT_JOB_REMOVED | EVENT_ALL_JOBS_REMOVED
        scheduler.add_listener(self._heard, mask)

    def all(self) -> list[tuple[Job, OnceJob]]:
        """Return the scheduler's jobs on this ledger, and those that are over, and how they run."""
        jobs = self._scheduler.get_jobs()
        self._seen = {job.id: job for job in jobs if self._once(job)}
        found = ((job, self._once(job)) for job in (*self._seen.values(), *self._over.values()))
        return [(job, once_job) for job, once_job in found if once_job]

    def is_over(self, job: Job) -> bool:
        """Tell whether a job has left the scheduler because its last fire time has gone by."""
        return job.id in self._over

    def drop(self, job: Job) -> None:
        """Forget a job that is over."""
        self._over.pop(job.id, None)

    def close(self) -> None:
        """Listen no more."""
        self._scheduler.remove_listener(self._heard)

    def _heard(self, event: SchedulerEvent) -> None:
        if event.code == EVENT_ALL_JOBS_REMOVED:
            self._seen.clear()
        elif event.code == EVENT_JOB_ADDED:
            self._over.pop(event.job_id, None)
            job = self._scheduler.get_job(event.job_id, event.jobstore)
            if job is not None and self._once(job):
                self._seen[job.id] = job
        else:
            job = self._seen.pop(event.job_id, None)
            if job is not None and fires_no_more(job, datetime.now(UTC) + MICROSECOND):
                self._over[job.id] = job

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
