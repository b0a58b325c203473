"""The executor that tells a job which occurrence it runs.

APScheduler hands its executors the scheduled times of a job and never tells the job. It also lets
a batch of them, the backlog of a job with ``coalesce=False``, run on when the scheduler is shut
down: cancelling the task cuts one run, and the next one starts.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from inspect import CO_COROUTINE
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from apscheduler.events import EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.base import run_coroutine_job, run_job
from apscheduler.util import iscoroutinefunction_partial

from kst_scheduler.errors import InvalidArgumentError, LeaseLostError, LockedOutError
from kst_scheduler.redaction import hide_in_traceback, without_passwords
from kst_scheduler.scheduler.job_threads import watch_threads
from kst_scheduler.scheduler.occurrence import RUNNING, Occurrence
from kst_scheduler.user_values import is_a

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from apscheduler.job import Job
    from apscheduler.schedulers.base import BaseScheduler


EVENT_JOB_LOCKED_OUT: Final = 2**24
"""The event of a run that raised LockedOutError: another replica has it, so nothing has failed.

It is a JobExecutionEvent, of OccurrenceExecutor alone, and takes the place of EVENT_JOB_ERROR.
APScheduler 3.11.3 uses the bits 0 to 16, and its EVENT_ALL, add_listener's default, has no others;
name this one to hear of it: ``add_listener(heard, EVENT_JOB_ERROR | EVENT_JOB_LOCKED_OUT)``.
"""


MAX_THREADS: Final = 10
"""Plain functions that run at once, as in APScheduler's own ThreadPoolExecutor."""


class Batch:
    """The run times that one slot of a job runs, one after another."""

    __slots__ = (
        "closed",
        "due",
        "handed_out",
        "in_thread",
        "job_id",
        "manual",
        "never_late",
        "run_times",
        "task",
    )

    def __init__(
        self,
        job_id: str,
        due: list[datetime],
        asked_for: Occurrence | None = None,
        *,
        in_thread: bool = False,
    ) -> None:
        self.job_id = job_id
        self.due = due
        self.manual = asked_for is not None and asked_for.manual
        self.never_late = asked_for is not None
        self.in_thread = in_thread
        self.run_times: Iterable[datetime] = due
        self.task: asyncio.Task[list[JobExecutionEvent]] | None = None
        """What runs it; None in a thread."""
        self.handed_out = 0
        self.closed = False

    def __iter__(self) -> Iterator[datetime]:
        """Yield each run time, in the task or thread that runs it, until the batch is closed."""
        for run_time in self.run_times:
            if self.closed:
                continue  # a recorder's run times note each one that is taken and not run
            self.handed_out += 1
            RUNNING.set((self.job_id, run_time, self.manual))
            yield run_time
            self.closed = self.closed or self._is_cancelled()
        RUNNING.set(None)  # a pool's thread runs other things afterwards

    def _is_cancelled(self) -> bool:
        """Tell whether the task that runs the batch was cancelled, in its last run or after it.

        run_coroutine_job catches the CancelledError of a run, and would start the next one
        (APScheduler 3.11.3). A time limit inside a job takes its cancellation back.
        """
        return self.task is not None and self.task.cancelling() > 0

    @property
    def current(self) -> Occurrence:
        """The occurrence that is in progress, or the first one when none has started yet."""
        return self._occurrence(self.due[max(self.handed_out, 1) - 1])

    @property
    def not_started(self) -> tuple[Occurrence, ...]:
        """The occurrences whose turn has not come."""
        return tuple(map(self._occurrence, self.due[self.handed_out :]))

    def _occurrence(self, run_time: datetime) -> Occurrence:
        return Occurrence(self.job_id, run_time, self.manual)


class OccurrenceExecutor(AsyncIOExecutor):  # type: ignore[misc] # the library is untyped
    """An AsyncIOExecutor whose jobs can ask for their ``current_occurrence()``.

    It differs in five more ways. It runs plain functions in threads of its own: in those of the
    event loop they would keep waiting what others hand to ``asyncio.to_thread``. It awaits objects
    with an ``async def __call__``, which AsyncIOExecutor calls in a thread and drops. When it shuts
    down, no later run time of a batch starts, nor when the batch's task is cancelled; each is
    dispatched as EVENT_JOB_MISSED. A job in a thread cannot be cancelled, so shutting down leaves
    it alone, and its event still comes if the loop runs when it ends. A run that raises
    LockedOutError is one line at INFO in the log, and EVENT_JOB_LOCKED_OUT in place of
    EVENT_JOB_ERROR; one that raises LeaseLostError is one line at WARNING.

    An async generator function, or a lambda that returns a coroutine, looks like a plain function
    and is run as one: nothing awaits it.

    Of APScheduler's private names it uses ``_do_submit_job``, ``_run_job_success``,
    ``_run_job_error``, ``_eventloop`` and ``Job._jobstore_alias``; checked on 3.11.3.

    Args:
        max_threads: how many plain functions run at once; the others wait for a free thread.

    Raises:
        InvalidArgumentError: ``max_threads`` is not positive.

    """

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        super().__init__()
        if max_threads < 1:
            raise InvalidArgumentError(
                f"max_threads={max_threads!r} runs no plain function; write max_threads=1 or more"
            )
        self.max_threads = max_threads
        self._threads: ThreadPoolExecutor | None = None
        self.batches: dict[asyncio.Future[list[JobExecutionEvent]], Batch] = {}
        """What each future in progress runs, in the order of submission."""
        self._submitting = Batch("", [])
        self._asked_for: Occurrence | None = None

    def start(self, scheduler: BaseScheduler, alias: str) -> None:
        """Take the scheduler's event loop and a logger."""
        super().start(scheduler, alias)
        watch_threads(self._eventloop)
        self._logger.addFilter(_no_traceback)

    def shutdown(self, wait: bool = True) -> None:  # noqa: ARG002 - as in AsyncIOExecutor
        """Start no further run, and cancel the coroutines in progress."""
        self.close()
        for future, batch in self.batches.items():
            if not batch.in_thread:
                future.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    def close(self) -> None:
        """Let no batch in progress start another run."""
        for batch in self.batches.values():
            batch.closed = True

    def submit_job(self, job: Job, run_times: list[datetime]) -> None:
        """Run a job at its due run times, one after another in one of its slots."""
        # Read here, for on their way to _do_submit_job a recorder may put a stand-in in the place
        # of the job, and a generator in that of the run times.
        in_thread = not returns_awaitable(job.func)
        self._submitting = Batch(job.id, run_times, self._asked_for, in_thread=in_thread)
        super().submit_job(job, run_times)

    def submit_occurrence(self, job: Job, occurrence: Occurrence) -> None:
        """Run one occurrence that was asked for: it takes a slot, and is never too late."""
        self._asked_for = occurrence
        try:
            self.submit_job(job, [occurrence.scheduled_at])
        finally:
            self._asked_for = None

    def _do_submit_job(self, job: Job, run_times: Iterable[datetime]) -> None:
        batch = self._submitting
        batch.run_times = run_times
        if batch.never_late:
            job = _NeverLate(job)
        arguments = (job, job._jobstore_alias, batch, self._logger.name)  # noqa: SLF001
        future: asyncio.Future[list[JobExecutionEvent]]
        if batch.in_thread:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.max_threads, "kst-scheduler-job")
            future = self._eventloop.run_in_executor(self._threads, run_job, *arguments)
        else:
            future = batch.task = self._eventloop.create_task(run_coroutine_job(*arguments))
        self.batches[future] = batch
        future.add_done_callback(partial(self._ended, batch, job._jobstore_alias))  # noqa: SLF001

    def _ended(
        self, batch: Batch, alias: str, future: asyncio.Future[list[JobExecutionEvent]]
    ) -> None:
        del self.batches[future]
        batch.closed = True  # its thread may go on where the future was cancelled
        try:
            events = future.result()
        except asyncio.CancelledError:  # before its first step: run_coroutine_job catches others
            events = []
        except BaseException as error:  # noqa: BLE001 - as in AsyncIOExecutor
            self._run_job_error(batch.job_id, error, error.__traceback__)
            return
        for event in events:
            if is_a(event.exception, LockedOutError):
                event.code = EVENT_JOB_LOCKED_OUT
        missed = [
            JobExecutionEvent(EVENT_JOB_MISSED, batch.job_id, alias, run_time)
            for run_time in batch.due[batch.handed_out :]
        ]
        self._run_job_success(batch.job_id, events + missed)


class JobStandIn:
    """Stands in for a job on its way through an executor: the same, but for what is set on it."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)

    def __str__(self) -> str:
        return str(self._job)


class _NeverLate(JobStandIn):
    """A job whose run was asked for, so that misfire_grace_time must not drop it."""

    misfire_grace_time = None


def returns_awaitable(function: Callable[..., object]) -> bool:
    """Tell whether calling ``function`` gives something to await, as far as that can be seen.

    Looks through functools.partial, and at the class of an object that is called. Async generator
    functions and lambdas that return a coroutine cannot be told from plain functions.
    """
    if is_coroutine_function(function):
        return True
    while isinstance(function, partial):
        function = function.func
    return bool(callable(function) and iscoroutinefunction_partial(type(function).__call__))


def is_coroutine_function(function: Callable[..., object]) -> bool:
    """Tell what AsyncIOExecutor asks of each run, and soon where it is an ``async def``."""
    if type(function) is FunctionType and function.__code__.co_flags & CO_COROUTINE:
        return True
    return bool(iscoroutinefunction_partial(function))


def _no_traceback(record: logging.LogRecord) -> bool:
    """Make one line of APScheduler's error and traceback for a run that was kept out or stopped."""
    error = record.exc_info[1] if record.exc_info else None
    if is_a(error, LockedOutError):
        level, message = logging.INFO, 'Job "%s" was locked out: %s'
    elif is_a(error, LeaseLostError):
        level, message = logging.WARNING, 'Job "%s" was stopped: %s'
    else:
        return hide_in_traceback(record)
    record.levelno, record.levelname = level, logging.getLevelName(level)
    record.msg, record.args = message, (record.args[0], without_passwords(error))  # type: ignore[index]
    record.exc_info = None
    return logging.getLogger(record.name).isEnabledFor(level)
