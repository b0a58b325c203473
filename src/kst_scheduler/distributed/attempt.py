"""One attempt of a worker to run an occurrence, and what is to become of its task then.

A task is no more than a reminder that an occurrence may have to be run. The row decides: whoever
comes second, or late, finds it claimed or ended, and is done. So a task may be in the queue twice,
and be taken up again when its worker was given up for dead.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from procrastinate.retry import RetryDecision

from kst_scheduler.distributed.names import lock_of
from kst_scheduler.distributed.outages import outages
from kst_scheduler.errors import (
    AttemptsUsedUpError,
    KSTSchedulerError,
    LeaseLostError,
    LockedOutError,
)
from kst_scheduler.fire_times.instants import MICROSECOND
from kst_scheduler.ledger.checks import occurrence_key
from kst_scheduler.ledger.clock_watch import trusted_time
from kst_scheduler.once.outcome import describe_error
from kst_scheduler.scheduler.occurrence import RUNNING
from kst_scheduler.timezone import UTC
from kst_scheduler.user_values import has_readable_class

if TYPE_CHECKING:
    from procrastinate import App
    from procrastinate.jobs import Job

    from kst_scheduler.distributed.known_jobs import KnownJob
    from kst_scheduler.ledger import LedgerRow
    from kst_scheduler.scheduler.occurrence import Occurrence

SOON: Final = timedelta(seconds=1)

_LOGGER: Final = logging.getLogger(__name__)


class RetryLaterError(KSTSchedulerError):
    """Raised in a task that is to wait in the queue again.

    ``lock`` is that of the occurrence where the task has run it, and may run it again although its
    row has ended; no other task for the occurrence has it.
    """

    def __init__(self, wait: timedelta | datetime, *, lock: str | None = None) -> None:
        moment = wait if isinstance(wait, datetime) else datetime.now(UTC) + wait
        super().__init__(f"it waits in the queue until {moment.isoformat(timespec='seconds')}")
        self.decision = RetryDecision(retry_at=moment, lock=lock)


@dataclass
class Attempt:
    """One attempt: ``run()`` returns when there is nothing more to do for the task."""

    app: App
    task: Job
    known: KnownJob
    occurrence: Occurrence
    has_claim: bool = False
    """Whether the row was its own; of one that was not, it does not know how its run ended."""

    async def run(self) -> None:
        """Run the occurrence, if it is still to be run.

        Raises:
            RetryLaterError: the task is to wait in the queue again.
            LedgerUnavailableError: the ledger was away, and the work was not begun.
            Exception: the job failed, and is not to be tried again.

        """
        if await self._record_if_too_late():
            return
        once_job, occurrence = self.known.once_job, self.occurrence
        RUNNING.set((occurrence.job_id, occurrence.scheduled_at, occurrence.manual))
        try:
            claim, since = await once_job.claim(occurrence, retry=self.has_run_it)
        except AttemptsUsedUpError as error:  # the row is closed, also for a retry
            _LOGGER.info("%s needs no run: %s", occurrence, error)
            return
        except LockedOutError as error:
            await self._handle_locked_out(error)
            return
        self.has_claim = True
        failure: Exception | None = None
        try:
            await once_job.run_claimed(claim, since, self.known.work)
        except LeaseLostError as error:
            _LOGGER.warning("%s was stopped: %s", occurrence, describe_error(error))
            raise RetryLaterError(SOON) from error
        except LockedOutError as error:
            _LOGGER.info("%s was locked out: %s", occurrence, describe_error(error))
        except Exception as error:  # noqa: BLE001 - it is raised below
            failure = (
                error if has_readable_class(error) else KSTSchedulerError(describe_error(error))
            )
        # Here, so that the error that cannot be read is not the context of the one for it.
        if failure is not None:
            self._raise_if_retried(failure, claim.attempt)
            raise failure

    @property
    def has_run_it(self) -> bool:
        """Whether the task has run the occurrence before, and may run it again."""
        return self.task.lock == self.lock

    @property
    def lock(self) -> str:
        """By which name the tasks of the occurrence exclude each other."""
        return lock_of(self.app, self.occurrence)

    async def _record_if_too_late(self) -> bool:
        """Record an occurrence as missed if it is beyond its window; return whether it was."""
        window, ledger = self.known.window, self.known.once_job.ledger
        if window is None or self.occurrence.manual:
            return False
        now = await trusted_time(ledger)
        if now is None:  # what a clock that was set says of it would stay
            return False
        late = now - self.occurrence.scheduled_at
        if late <= window:
            return False
        late -= timedelta(microseconds=late.microseconds)
        reason = f"{late} late, catch-up window {window}; it waited for a worker"
        if await ledger.record_missed(self.occurrence, reason, self.known.once_job.replica()):
            _LOGGER.warning("%s was missed: %s", self.occurrence, reason)
        return True

    async def _handle_locked_out(self, error: LockedOutError) -> None:
        """Return when the row has its end, or another task looks after it."""
        row = await self._row()
        status = row.status if row else ""
        if row and status == "running" and not await self._is_at_work_elsewhere():
            raise RetryLaterError(self._until_its_lease_is_over(row)) from error
        if self.has_run_it and status in {"error", "cancelled"}:  # behind another run of the job
            raise RetryLaterError(self.known.once_job.lease, lock=self.lock) from error
        _LOGGER.info("%s needs no run: %s", self.occurrence, error)

    async def _row(self) -> LedgerRow | None:
        job_id, moment, trigger = occurrence_key(self.occurrence)
        ledger = self.known.once_job.ledger
        rows = await ledger.rows(job_id, since=moment, until=moment + MICROSECOND)
        return next((row for row in rows if row.trigger == trigger), None)

    async def _is_at_work_elsewhere(self) -> bool:
        """Tell whether another task for the occurrence is being worked on; it is looked after."""
        with outages(self.app):
            others = await self.app.job_manager.list_jobs_async(
                task=self.task.task_name, queueing_lock=self.lock, status="doing"
            )
        return any(other.id != self.task.id for other in others)

    def _until_its_lease_is_over(self, row: LedgerRow) -> timedelta:
        lease = self.known.once_job.lease
        left = (row.lease_until or datetime.now(UTC)) - datetime.now(UTC)
        return min(max(left, SOON), lease) if left > timedelta(0) else lease

    def _raise_if_retried(self, error: Exception, attempt: int) -> None:
        """Raise RetryLaterError if the strategy says so; it counts the attempts before this one."""
        strategy = self.known.retry
        task = self.task.evolve(attempts=attempt - 1)
        retry = strategy.get_retry_exception(error, task) if strategy else None
        if retry is None:
            return
        moment = retry.retry_decision.retry_at or datetime.now(UTC)
        _LOGGER.warning(
            "%s failed in attempt %d, and is tried again at %s: %s",
            *(self.occurrence, attempt, f"{moment:%Y-%m-%dT%H:%M:%SZ}", describe_error(error)),
        )
        raise RetryLaterError(moment, lock=self.lock) from error
