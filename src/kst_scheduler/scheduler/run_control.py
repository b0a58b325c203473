"""Start a run by hand, make up for a missed one, see what runs, and come to rest without loss.

APScheduler has none of these. ``job.modify(next_run_time=now)`` stands in for the first and bends
the schedule; ``AsyncIOScheduler.shutdown(wait=True)`` does not wait, it cancels.
"""

from __future__ import annotations

import asyncio
import functools
import reprlib
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apscheduler.events import EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.executors.base import MaxInstancesReachedError

from kst_scheduler.errors import (
    InvalidArgumentError,
    KSTSchedulerError,
    NotRunningError,
    UnknownJobError,
)
from kst_scheduler.scheduler.drain import DrainResult, end_of_drain, finish, in_seconds
from kst_scheduler.scheduler.executor import OccurrenceExecutor
from kst_scheduler.scheduler.guards import nearest
from kst_scheduler.scheduler.job_store import TurnByTurnJobStore
from kst_scheduler.scheduler.kept_writes import kept_writes
from kst_scheduler.scheduler.occurrence import RUNNING, AlreadyRunningError, Occurrence
from kst_scheduler.scheduler.wall_clock import WallClockScheduler
from kst_scheduler.timezone import UTC, require_aware

if TYPE_CHECKING:
    from apscheduler.executors.base import BaseExecutor
    from apscheduler.job import Job


class RunControl(WallClockScheduler):
    """An AsyncIOScheduler whose runs can be started by hand, listed and drained.

    Of APScheduler's private names it uses ``_create_default_executor``,
    ``_create_default_jobstore``, ``_dispatch_event``, ``_executors``, ``_eventloop``, ``_logger``,
    ``BaseExecutor._instances`` and ``Job._jobstore_alias``; checked on 3.11.3.
    """

    _draining: asyncio.Task[DrainResult] | None = None
    _last_manual = datetime.min.replace(tzinfo=UTC)

    def resume(self) -> None:
        """Go on processing jobs after ``pause()``.

        Raises:
            NotRunningError: the scheduler is draining.

        """
        if self._draining:
            raise NotRunningError("this scheduler is draining and starts nothing any more")
        super().resume()

    def run_now(self, job_id: str, jobstore: str | None = None) -> Occurrence:
        """Start a run of a job at once, and leave its schedule as it is.

        The run takes one of the job's ``max_instances``, emits the same events as any other, and
        is never too late for its grace time. Paused jobs stay paused, one-shot jobs keep their
        date. It also works while the scheduler is paused.

        Returns:
            The occurrence, which has a key of its own, at the moment of asking.

        Raises:
            UnknownJobError: no job has this id (a one-shot job is removed once it has fired).
            AlreadyRunningError: the job runs ``max_instances`` times already; ``running`` of the
                error holds those occurrences.
            NotRunningError: the scheduler has not been started, or is draining, or it is called
                outside the event loop, as from a plain ``def`` endpoint of FastAPI.

        """
        self._check_takes_runs("run_now")
        job = self._job_to_run(job_id, jobstore)
        occurrence = Occurrence(job_id, self._manual_run_time(), manual=True)
        self._submit(job, occurrence)
        return occurrence

    def run_missed(self, job: str | Job, scheduled_at: datetime) -> Occurrence:
        """Start a run of a job at once, under a scheduled time that has gone by.

        It is the scheduled run, made up for: ``current_occurrence()`` is that of
        ``scheduled_at``, and it is not manual. The rest is as in ``run_now``: it takes one of the
        job's ``max_instances``, is never too late, and leaves the schedule as it is. Whether the
        job should have run then, and has not, is the caller's affair (once.reconcile).

        Args:
            job: its id; or the job itself, where a one-shot job is no longer in its job store.
            scheduled_at: aware, in the past.

        Raises:
            InvalidArgumentError: ``scheduled_at`` lies in the future, or the job's executor is
                none that can tell it which occurrence it runs.
            NaiveDatetimeError: ``scheduled_at`` has no zone.
            UnknownJobError, AlreadyRunningError, NotRunningError: as in ``run_now``.

        """
        self._check_takes_runs("run_missed")
        now = datetime.now(self.timezone)
        if require_aware(scheduled_at, "scheduled_at") > now:
            raise InvalidArgumentError(
                f"scheduled_at={scheduled_at.isoformat()} lies in the future, where nothing was "
                "missed; the schedule runs it, or run_now() does now"
            )
        job = self._job_to_run(job) if isinstance(job, str) else job
        if not isinstance(self._executors.get(job.executor), OccurrenceExecutor):
            raise InvalidArgumentError(
                f"job {job.id!r} has executor={job.executor!r}, which does not tell a job the time "
                "it was scheduled for; use an OccurrenceExecutor, KSTScheduler's default"
            )
        occurrence = Occurrence(job.id, scheduled_at)
        self._submit(job, occurrence)
        return occurrence

    def running_occurrences(self, job_id: str | None = None) -> tuple[Occurrence, ...]:
        """Return the occurrences in progress, of one job or of all, in the order of their start.

        One that waits for a free thread counts, as it does for ``max_instances``. Runs on
        executors other than OccurrenceExecutor are not seen.
        """
        return tuple(
            batch.current
            for executor in self._own_executors()
            for batch in executor.batches.values()
            if job_id in (None, batch.job_id)
        )

    async def drain(self, timeout: float | timedelta) -> DrainResult:  # noqa: ASYNC109 - a limit for the jobs
        """Shut down without losing work: start nothing more, wait, then cancel, and say what.

        No job starts after the call, not even one that is due. Runs in progress get ``timeout``
        (seconds, or a timedelta) to end; those that are left are cancelled and get 5 seconds for
        their own clean-up. Within that time, outcomes that a ledger could not take yet are tried
        once more: what is left is lost with the process. Then the scheduler is shut down. A thread
        cannot be cancelled, be it of a plain function or of ``asyncio.to_thread``: its run is named
        as still running, and Python waits for it when the process ends. Thread and process pools
        start what already waits in their own queue.

        A second call while the first is at work waits for it, whatever its own timeout. Nothing
        happens on a scheduler that does not run, so it can be called in any ``finally``.

        Returns:
            What was cut; it is false when every run ended by itself.

        Raises:
            InvalidArgumentError: the timeout is negative, not finite or not a number.
            KSTSchedulerError: called inside a job of this scheduler, which would wait for itself.

        """
        seconds = in_seconds(timeout)
        running = RUNNING.get()
        if running and Occurrence(*running) in self.running_occurrences():
            raise KSTSchedulerError(
                f"drain() was called inside the job {running[0]!r}, for whose end it would wait; "
                "set an event in the job, and drain where the scheduler was started"
            )
        if not self.running:
            return DrainResult()
        if self._draining is None:
            self.pause()
            for executor in self._own_executors():
                executor.close()
            self._draining = asyncio.create_task(self._drain(seconds))
        return await asyncio.shield(self._draining)

    async def _drain(self, seconds: float) -> DrainResult:
        batches = {f: b for executor in self._own_executors() for f, b in executor.batches.items()}
        end = end_of_drain(seconds)
        try:
            drained = await finish(batches, self._other_jobs, seconds)
            await kept_writes().try_at_the_end(end)
        finally:
            self._draining = None
            if self.running:
                self.shutdown(wait=False)
        await asyncio.sleep(0)  # AsyncIOScheduler.shutdown only asks the loop to do it
        log = self._logger.info if drained.complete else self._logger.warning
        log("Drained the scheduler: %s", drained)
        return drained

    def _job_to_run(self, job_id: str, jobstore: str | None = None) -> Job:
        job = self.get_job(job_id, jobstore)
        if job is None:
            known = nearest(job_id, (job.id for job in self.get_jobs()))
            raise UnknownJobError(f"no job has the id {reprlib.repr(job_id)}{known}")
        return job

    def _submit(self, job: Job, occurrence: Occurrence) -> None:
        executor, run_times = self._executors.get(job.executor), [occurrence.scheduled_at]
        try:
            if isinstance(executor, OccurrenceExecutor):
                executor.submit_occurrence(job, occurrence)
            elif executor:
                executor.submit_job(job, run_times)
            else:
                known = nearest(job.executor, self._executors)
                raise InvalidArgumentError(
                    f"job {job.id!r} has executor={job.executor!r}, which is none{known}"
                )
        except MaxInstancesReachedError as error:
            running = self.running_occurrences(job.id)
            raise AlreadyRunningError(
                f"job {job.id!r} already runs max_instances={job.max_instances} time(s)"
                f"{': ' if running else ''}{', '.join(map(str, running))}; "
                "wait until a run has ended",
                running,
            ) from error
        alias = job._jobstore_alias  # noqa: SLF001
        self._dispatch_event(JobSubmissionEvent(EVENT_JOB_SUBMITTED, job.id, alias, run_times))

    @functools.cached_property
    def _manual(self) -> deque[datetime]:
        """When the last of the manual runs were asked for."""
        return deque(maxlen=1000)

    def _manual_run_time(self) -> datetime:
        """Return now, or the next free microsecond: a manual run is known by its own."""
        now = datetime.now(self.timezone)
        # Many in one microsecond follow the last of them. A clock that was set back by more is
        # trusted: its runs have today's date again.
        if timedelta() <= self._last_manual - now < timedelta(seconds=1):
            now = self._last_manual + timedelta(microseconds=1)
        # After a step back the clock comes by the same moments once more.
        while now in self._manual:
            now += timedelta(microseconds=1)
        self._manual.append(now)
        self._last_manual = now
        return now

    def _check_takes_runs(self, asked: str) -> None:
        if not self.running:
            raise NotRunningError("this scheduler does not run; call start() in its event loop")
        if self._draining:
            raise NotRunningError("this scheduler is draining and starts nothing any more")
        try:
            in_loop = asyncio.get_running_loop() is self._eventloop
        except RuntimeError:
            in_loop = False
        if not in_loop:
            raise NotRunningError(
                f"{asked}() was called outside the scheduler's event loop; call it in an async def "
                "function of that loop, or hand it to loop.call_soon_threadsafe"
            )

    def _own_executors(self) -> list[OccurrenceExecutor]:
        return [
            executor
            for executor in self._executors.values()
            if isinstance(executor, OccurrenceExecutor)
        ]

    def _other_jobs(self) -> tuple[str, ...]:
        """Return the ids of the jobs that run on other executors."""
        others: list[BaseExecutor] = [
            executor
            for executor in self._executors.values()
            if not isinstance(executor, OccurrenceExecutor)
        ]
        return tuple(sorted(id_ for other in others for id_ in list(other._instances)))  # noqa: SLF001

    def _create_default_executor(self) -> OccurrenceExecutor:
        return OccurrenceExecutor()

    def _create_default_jobstore(self) -> TurnByTurnJobStore:
        return TurnByTurnJobStore()
