"""Compare what should have run with what the ledger has: catch up, and write what was missed.

A scheduler forgets what it did not run: while it was down, frozen beyond the grace time, or busy
with another run of the job. A Reconciler on each replica looks every minute, so in the end each
occurrence has a row, and no run that lost its lease is left without an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from apscheduler.events import EVENT_SCHEDULER_RESUMED, EVENT_SCHEDULER_STARTED
from apscheduler.schedulers.base import STATE_RUNNING

from kst_scheduler.errors import InvalidArgumentError, KSTSchedulerError, LedgerUnavailableError
from kst_scheduler.fire_times.spans import require_fixed
from kst_scheduler.ledger.clock_watch import ClockWatch, clock_watch, trusted_time
from kst_scheduler.once.outcome import describe_error
from kst_scheduler.once.reconcile.fire_plan import FirePlan
from kst_scheduler.once.reconcile.job_reconciler import (
    JobReconciler,
    LastLook,
    Look,
    ReconcileResult,
    window_of,
)
from kst_scheduler.once.reconcile.once_jobs import OnceJobs, fires_no_more
from kst_scheduler.redaction import hide_in_traceback
from kst_scheduler.scheduler.kept_writes import kept_writes
from kst_scheduler.timezone import UTC
from kst_scheduler.user_values import is_a, text_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from apscheduler.job import Job

    from kst_scheduler.ledger import Ledger, LedgerRow
    from kst_scheduler.once.decorator import OnceJob
    from kst_scheduler.scheduler.run_control import RunControl

    OnMissing = Callable[[list[LedgerRow]], Awaitable[object]]

LOOK_EVERY: Final = 60.0
"""Seconds from one look to the next."""

DELETE_EVERY: Final = 3600.0
"""Seconds from one deletion of old rows to the next."""

MAX_DELETED: Final = 100_000
"""How many old rows a look deletes, so that it ends within seconds."""

STOP_SECONDS: Final = 1.0
"""How long a look gets to end when a Reconciler is stopped."""

STARTED_OR_RESUMED: Final = EVENT_SCHEDULER_STARTED | EVENT_SCHEDULER_RESUMED

_LOGGER: Final = logging.getLogger(__name__)
_LOGGER.addFilter(hide_in_traceback)


class Reconciler:
    """Looks after the jobs of one scheduler that are run ``once`` on one ledger.

    Of what should have run since the last look, on whichever replica, the newest occurrence runs
    here, if it has no row, was skipped or lost its lease, and is within its catch-up window; not
    while another run of the job is in progress. The others that have no row are written as missed,
    with the reason. A run that lost its lease and is not to be repeated is closed as an error. How
    far that went stands in the ledger, so restarts and replicas go on from there. A job's first
    look is where its history begins.

    What was handed off and waits for a worker is left alone within its catch-up window, and to run
    an occurrence of such a job is to hand it off again.

    The first look after the ledger was away leaves runs that lost their lease alone: their
    replicas may live, and renew or end them now.

    What one replica does or suffers erases no history of another's. How far was looked is moved on
    by the replicas where a job is not paused. Where it is paused on all of them, what it would have
    run leaves no row. Where one replica is paused and another is down, what was due meanwhile waits
    for the one that is down, or for the end of the pause. A replica that was the last to look
    before its pause cannot know of another that is down: when its pause ends first, it counts as
    the only one. A pause of a scheduler whose jobs are in memory ends with its process, and what
    was due meanwhile is caught up by the next one. A run that another replica lost is closed when
    it may not be run again any more, also where the job is paused here, or was removed; one of a
    job that nobody knows, when it is as old as the rows that are deleted. A Reconciler that was
    stopped and is started again finds what has become of the one-shot jobs that it knew.

    What is due, and how late it is, is judged by the ledger's clock; nothing is due before this
    host's clock says so, too. A ledger's clock that was set is trusted when it has stood for 15
    minutes, or is back where it was; until then a look does nothing, and no row is deleted for an
    hour. What was called missed before its time is no row at all.

    Args:
        scheduler: a KSTScheduler. Make the Reconciler before you start it: a one-shot job whose
            date has gone by leaves the scheduler at once.
        ledger: the one the jobs are run on; jobs on other ledgers are not looked at.
        delay: how long after its time an occurrence is looked at, as replicas need a moment to
            claim it, and their clocks differ.
        retention: how long rows are kept, from their scheduled time on.
        on_missing: awaited with the rows that this replica wrote as missed, or closed (a claim
            closes an abandoned run that is in its way, too), so that one replica sends the alert.
            It may fail: that is logged.

    Raises:
        InvalidArgumentError: the scheduler is not a KSTScheduler, or a time span makes no sense.

    """

    def __init__(
        self,
        scheduler: RunControl,
        ledger: Ledger,
        *,
        delay: timedelta = timedelta(seconds=10),
        retention: timedelta = timedelta(days=90),
        on_missing: OnMissing | None = None,
    ) -> None:
        if not hasattr(scheduler, "run_missed"):
            raise InvalidArgumentError(
                f"scheduler={scheduler!r} cannot run what was missed; write KSTScheduler()"
            )
        if not timedelta(0) <= delay < retention:
            raise InvalidArgumentError(
                f"delay={delay} is not between nothing and retention={retention}; "
                "write delay=timedelta(seconds=10), retention=timedelta(days=90)"
            )
        self._scheduler = scheduler
        self._ledger = ledger
        self._delay = delay
        self._retention = retention
        self._on_missing = on_missing
        self._jobs = OnceJobs(scheduler, ledger)
        self._plans: dict[str, FirePlan] = {}
        self._own_looks: dict[str, LastLook] = {}
        self._delete_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()
        self._was_away = False

    def start(self) -> None:
        """Look now, and then every minute, in a task of the running loop.

        Raises:
            InvalidArgumentError: a job cannot be reconciled, as in ``reconcile``.

        """
        self._jobs.open()
        for job, once_job in self._jobs.all():
            try:
                window_of(job, once_job, self._retention)
                require_fixed(job.trigger)
            except InvalidArgumentError as error:
                raise InvalidArgumentError(_named(job, error)) from error
        if self._task is None:
            self._scheduler.add_listener(self._reconcile_now, STARTED_OR_RESUMED)
            self._task = asyncio.create_task(self._keep_reconciling())

    async def stop(self) -> None:
        """Look no more; call it before the scheduler is drained."""
        self._jobs.close()
        self._scheduler.remove_listener(self._reconcile_now)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            # What it is at, a statement of SQLite or on_missing, need not end when it is cancelled,
            # and the runs are drained after it.
            await asyncio.wait([task], timeout=STOP_SECONDS)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def reconcile(self) -> ReconcileResult:
        """Look once, at all jobs, and return what was done; nothing while the scheduler is paused.

        Raises:
            InvalidArgumentError: a job has jitter, so that replicas disagree about its times, or a
                catch-up window longer than the retention. The other jobs are reconciled.
            KSTSchedulerError: a job cannot be reconciled for another reason: its trigger fails, or
                its queue, say. The other jobs are reconciled.
            LedgerUnavailableError: the ledger is away; what is left is done next time.

        """
        result = ReconcileResult()
        if self._scheduler.state != STATE_RUNNING:
            return result
        result.closed += self._ledger.closed_by_claims()
        try:
            await kept_writes().try_all()
            if not kept_writes().are_written(id(self._ledger)):
                self._was_away = True  # until a moment ago; what is known here is not written yet
            now = await trusted_time(self._ledger)
            if now is not None:
                await self._look(result, now)
        except Exception as error:
            # A fault of the ledger keeps the others, too, from writing how their runs ended.
            is_of_jobs = is_a(error, KSTSchedulerError) and not is_a(error, LedgerUnavailableError)
            self._was_away = self._was_away or not is_of_jobs
            raise
        finally:
            await self._report_missing(result)
        return result

    @property
    def _clock(self) -> ClockWatch:
        return clock_watch(self._ledger)

    def _reconcile_now(self, _event: object) -> None:
        self._look_now.set()

    async def _look(self, result: ReconcileResult, now: datetime) -> None:
        abandoned, faults = await self._ledger.abandoned(), _Faults()
        # Those with a queue last: one that does not answer holds up no other job.
        jobs = sorted(self._jobs.all(), key=lambda each: each[1].queue is not None)
        if self._was_away:  # the replicas that live are first to renew and to end what they run
            abandoned = []
        removed = self._jobs.removed()
        if self._delete_at is None:
            self._delete_at = await self._first_delete_at([job for job, _ in jobs], now)
        look = Look(
            scheduler=self._scheduler,
            ledger=self._ledger,
            now=now,
            until=min(now, datetime.now(UTC)) - self._delay,
            oldest=now - self._retention,
            steady_since=self._clock.steady_since or now,
            own_looks=self._own_looks,
            result=result,
        )
        for job, once_job in jobs:
            with faults.of(job):
                reconciler = self._reconciler_of(job, once_job, abandoned, look)
                if await reconciler.reconcile() and self._jobs.is_over(job):
                    await self._drop(job, look.until)
        lost = {row.source for row in abandoned}
        for job, once_job in removed:
            # Where it cannot be reconciled, that was reported while it was there.
            with faults.of(job), contextlib.suppress(InvalidArgumentError):
                if job.id in lost:
                    await self._reconciler_of(job, once_job, abandoned, look).close_lost()
        known = {job.id for job, _ in (*jobs, *removed)}
        await self._delete_old(known, abandoned, now, result)
        self._was_away = False
        faults.raise_all()

    def _reconciler_of(
        self, job: Job, once_job: OnceJob, abandoned: Sequence[LedgerRow], look: Look
    ) -> JobReconciler:
        lost = [row for row in abandoned if row.source == job.id]
        return JobReconciler(
            look=look,
            job=job,
            once_job=once_job,
            plan=self._plan(job),
            window=window_of(job, once_job, self._retention),
            # A lease that was renewed by a wrong clock is renewed by the right one before its end.
            abandoned=lost if lost and self._clock.is_steady_for(once_job.lease) else [],
            paused_at=self._jobs.paused_at(job),
            is_over=self._jobs.is_over(job),
        )

    async def _drop(self, job: Job, until: datetime) -> None:
        """Forget a job that is over, once its last run has ended too."""
        if fires_no_more(job, until) and not await self._ledger.rows(job.id, status="running"):
            self._jobs.drop(job)

    def _plan(self, job: Job) -> FirePlan:
        """Return the job's fire times, worked out again when it has another trigger."""
        plan = self._plans.get(job.id)
        if plan is None or plan.trigger is not job.trigger:
            plan = self._plans[job.id] = FirePlan(job.trigger)
        return plan

    async def _delete_old(
        self,
        known: set[str],
        abandoned: Sequence[LedgerRow],
        now: datetime,
        result: ReconcileResult,
    ) -> None:
        """Delete old rows, and close those that were abandoned and whose job nobody has."""
        if asyncio.get_running_loop().time() < (self._delete_at or 0):
            return
        if not self._clock.is_steady_for(timedelta(seconds=DELETE_EVERY)):
            return
        before = now - self._retention
        for row in abandoned:
            if row.source not in known and row.scheduled_at < before:
                reason = "abandoned: no job of this name is left"
                closed = await self._ledger.close_abandoned(row, reason)
                result.closed += [closed] if closed else []
        result.deleted = await self._ledger.delete_before(before, MAX_DELETED)
        self._plans = {name: plan for name, plan in self._plans.items() if name in known}
        if result.deleted < MAX_DELETED:  # the next look goes on with the others
            self._delete_at = asyncio.get_running_loop().time() + DELETE_EVERY

    async def _first_delete_at(self, jobs: Sequence[Job], now: datetime) -> float:
        """Return the loop's time from which rows may be deleted, when this process has started.

        Where nobody has looked for long, all replicas were down, or the clock is ahead.
        """
        marks = []
        for job in jobs:
            with contextlib.suppress(InvalidArgumentError):  # its own look reports it
                marks.append(await self._ledger.watermark(job.id))
        latest = max((mark for mark in marks if mark), default=now)
        is_gap = now - latest > timedelta(seconds=DELETE_EVERY)
        return asyncio.get_running_loop().time() + DELETE_EVERY if is_gap else 0.0

    async def _report_missing(self, result: ReconcileResult) -> None:
        rows = [*result.missed, *result.closed]
        if self._on_missing is None or not rows:
            return
        try:
            await self._on_missing(rows)
        except Exception:
            _LOGGER.exception("on_missing failed, so %d row(s) were not passed on", len(rows))

    def _seconds_to_next_look(self) -> float:
        return LOOK_EVERY

    async def _keep_reconciling(self) -> None:
        while True:
            try:
                await self.reconcile()
            except LedgerUnavailableError as error:
                _LOGGER.warning("the look is put off by a minute: %s", describe_error(error))
            except KSTSchedulerError as error:
                _LOGGER.error("%s", error, exc_info=error.__cause__)  # noqa: TRY400 - see _Faults
            except Exception:
                _LOGGER.exception("the look failed; the next one comes in a minute")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_to_next_look()):
                    await self._look_now.wait()
            self._look_now.clear()


class _Faults:
    """What is wrong with single jobs; it keeps no other job from being looked at."""

    def __init__(self) -> None:
        self._job: Job = None
        self._errors: list[Exception] = []
        self._lines: list[str] = []

    def of(self, job: Job) -> Self:
        """Note a fault of a job in the block; that the ledger is away concerns all, and is raised.

        Not a contextmanager: it is entered for each job of each look.
        """
        self._job = job
        return self

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        # A trigger is the reader's, and can raise anything.
        if not isinstance(error, Exception) or isinstance(error, LedgerUnavailableError):
            return False
        self._errors.append(error)
        self._lines.append(_named(self._job, error))
        return True

    def raise_all(self) -> None:
        """Raise one error for all, with the first one as its cause that does not say it all."""
        if not self._errors:
            return
        is_argument = all(is_a(error, InvalidArgumentError) for error in self._errors)
        unforeseen = (error for error in self._errors if not is_a(error, KSTSchedulerError))
        raised = InvalidArgumentError if is_argument else KSTSchedulerError
        raise raised("; ".join(self._lines)) from next(unforeseen, None)


def _named(job: Job, error: Exception) -> str:
    reason = text_of(error) if is_a(error, KSTSchedulerError) else describe_error(error)
    return f"job {job.id!r} cannot be reconciled: {reason}"
