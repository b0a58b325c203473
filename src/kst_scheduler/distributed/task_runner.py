"""The task that Procrastinate calls, and what one worker knows and is at while it takes tasks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from procrastinate.exceptions import ConnectorException
from procrastinate.retry import BaseRetryStrategy

from kst_scheduler.distributed.attempt import Attempt, RetryLaterError
from kst_scheduler.distributed.payload import VERSION, is_newer, occurrence_of
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.once.outcome import describe_error
from kst_scheduler.once.replica import this_replica

if TYPE_CHECKING:
    from collections.abc import Mapping

    from procrastinate import App, JobContext
    from procrastinate.jobs import Job
    from procrastinate.retry import RetryDecision

    from kst_scheduler.distributed.known_jobs import KnownJob

TASK_RUNNER: Final = "kst_scheduler.task_runner"
"""Under which name a worker hands its runner to the tasks it runs."""
KEPT_FOR: Final = timedelta(seconds=60)
"""How long a task waits that this worker cannot run; another one may take it then."""
LEDGER_PAUSE: Final = timedelta(seconds=5)

_LOGGER: Final = logging.getLogger(__name__)


class RetryWhenAsked(BaseRetryStrategy):
    """The task's retry strategy: the task itself says when it is to wait again."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:  # noqa: ARG002 - as in Procrastinate
        """Return what a task said by RetryLaterError; None: it has ended."""
        return exception.decision if isinstance(exception, RetryLaterError) else None


async def run(context: JobContext, /, **payload: Any) -> None:
    """Run one occurrence: the task of ``task_app``."""
    runner: TaskRunner = context.additional_context.get(TASK_RUNNER, TaskRunner({}))
    try:
        await runner.take(context.app, context.job, payload)
    except RetryLaterError:
        await _drop_duplicates(context.app, context.job)
        raise


class TaskRunner:
    """One worker: what jobs it knows, and which tasks it is at."""

    def __init__(self, jobs: Mapping[str, KnownJob]) -> None:
        self._jobs = jobs
        self._at_work: set[asyncio.Task[Any]] = set()
        self._is_over = False
        self._logged: set[object] = set()

    @property
    def at_work(self) -> int:
        """How many tasks it is at."""
        return len(self._at_work)

    def cancel_all(self) -> None:
        """Cancel what is at work, to be run again by another worker."""
        self._is_over = True
        for task in self._at_work:
            task.cancel()

    async def take(self, app: App, task: Job, payload: Mapping[str, Any]) -> None:
        """Do what one task asks for.

        Raises:
            RetryLaterError: it is to wait in the queue again.
            InvalidArgumentError: nobody can do it.
            Exception: the job failed.

        """
        here = asyncio.current_task()
        assert here is not None  # noqa: S101 - this is a coroutine
        self._at_work.add(here)
        try:
            await self._attempt(app, task, payload)
        except LedgerUnavailableError as error:
            _LOGGER.warning("task %s waits for the ledger: %s", task.id, describe_error(error))
            raise RetryLaterError(LEDGER_PAUSE) from error
        finally:
            self._at_work.discard(here)

    async def _attempt(self, app: App, task: Job, payload: Mapping[str, Any]) -> None:
        if is_newer(payload):
            version = payload["version"]
            self._keep(task, f"its version is {version}, and this one reads up to {VERSION}")
        occurrence = occurrence_of(payload)
        known = self._jobs.get(occurrence.job_id)
        if known is None:
            self._keep(task, f"this one has no job {occurrence.job_id!r}")
        here = occurrence.scheduled_at.astimezone(known.zone)
        occurrence = replace(occurrence, scheduled_at=here)
        attempt = Attempt(app, task, known, occurrence)
        try:
            await attempt.run()
        except asyncio.CancelledError:
            if not self._is_over:
                raise
            # Without a claim, the row may be another's that failed, and is not to be tried again.
            again = known.once_job.repeatable if attempt.has_claim else attempt.has_run_it
            raise RetryLaterError(timedelta(0), lock=attempt.lock if again else None) from None

    def _keep(self, task: Job, reason: str) -> NoReturn:
        """Leave a task to a worker that knows more."""
        level = logging.DEBUG if reason in self._logged else logging.ERROR  # one line a worker
        self._logged.add(reason)
        _LOGGER.log(
            level,
            "worker %s cannot run task %s: %s. It is kept, and tried again every %d s: start a "
            "worker with the code that put it there, or cancel the task",
            *(this_replica(), task.id, reason, KEPT_FOR.total_seconds()),
        )
        raise RetryLaterError(KEPT_FOR)


async def _drop_duplicates(app: App, task: Job) -> None:
    """Make room for a task that goes back to the queue, where each occurrence waits once.

    A replica whose clock is behind may have put it there after this task was taken out. One that
    comes in between now and then leaves this task at work until the next heartbeat drops it.
    """
    if task.queueing_lock is None:
        return
    manager = app.job_manager
    with contextlib.suppress(ConnectorException):
        others = await manager.list_jobs_async(queueing_lock=task.queueing_lock, status="todo")
        for other in others:
            if other.id is not None:
                await manager.cancel_job_by_id_async(other.id, delete_job=True)
