"""Record what becomes of every due occurrence of a real scheduler, as a table of runs.

APScheduler's events do not say it all: run times that were coalesced away have no event, there is
no "started" event, and a backlog's events come when its whole batch has ended. So the recorder
looks where the decisions are made: at what is due (runs.due_jobs), at the executor for what is
submitted, and around the job's function for when it starts and how it ends. The executor's
``_do_submit_job`` is private in APScheduler; checked on 3.11.3, guarded by
tests/runs/test_recorder.py.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from datetime import timedelta
from operator import attrgetter
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from apscheduler.events import EVENT_EXECUTOR_ADDED, EVENT_SCHEDULER_STARTED
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.base import MaxInstancesReachedError
from apscheduler.executors.pool import ProcessPoolExecutor

from kst_scheduler.errors import (
    InvalidArgumentError,
    KSTSchedulerError,
    LeaseLostError,
    LockedOutError,
)
from kst_scheduler.fire_times.instants import SECOND, microseconds
from kst_scheduler.redaction import without_passwords
from kst_scheduler.runs.due_jobs import stop_watching_due_jobs, watch_due_jobs
from kst_scheduler.runs.table import NAT, RunLog
from kst_scheduler.scheduler.executor import (
    JobStandIn,
    OccurrenceExecutor,
    is_coroutine_function,
    returns_awaitable,
)
from kst_scheduler.torn_down import is_torn_down, running_task
from kst_scheduler.user_values import describe, is_a, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import pandas as pd
    from apscheduler.executors.base import BaseExecutor
    from apscheduler.job import Job
    from apscheduler.schedulers.base import BaseScheduler


MAX_ROWS: Final = 10_000
"""The runs that a recorder keeps: a week of one a minute."""


def _real_now() -> int:
    return time.time_ns() // 1000


class RunRecorder:
    """Watches one scheduler; ``runs`` is the table of what became of its jobs so far.

    It works on any APScheduler 3.11 scheduler, before or after its start, with asyncio and thread
    pool executors. The jobs of a process pool run out of its sight and are not recorded.

    Args:
        scheduler: the scheduler to watch; one recorder a scheduler.
        node: the name of this replica in the table.
        log: where the rows go; a log of its own unless several nodes share one.
        max_rows: how many rows a log of its own keeps at least, the last ones; None: all. So the
            memory has an end, and so has the time for which ``runs`` blocks the event loop.
        clock: returns microseconds since 1970 in UTC; the real clock by default.
        function_of: returns what runs for a job; its own function by default.

    Raises:
        InvalidArgumentError: the scheduler has a recorder already, or ``max_rows`` is not positive.

    """

    def __init__(
        self,
        scheduler: BaseScheduler,
        node: str = "local",
        *,
        log: RunLog | None = None,
        max_rows: int | None = MAX_ROWS,
        clock: Callable[[], int] = _real_now,
        function_of: Callable[[Job], Callable[..., Any]] = attrgetter("func"),
    ) -> None:
        if max_rows is not None and max_rows < 1:
            raise InvalidArgumentError(
                f"max_rows={max_rows!r} keeps no run; write max_rows=10_000, or None for all"
            )
        self.node = node
        self.grace: dict[str, timedelta | None] = {}
        """The grace time of each job seen so far; None: no run of it is ever too late."""
        self.clock = clock
        self.function_of = function_of
        self._log = RunLog(max_rows) if log is None else log
        self.lock = threading.Lock()
        """Of the rows; nothing is waited for while it is held."""
        self._running: dict[int, tuple[str, int, int]] = {}
        self._submitted: dict[_WatchedJob, None] = {}
        """The batches of run times that are not through, in the order of submission."""
        self.is_over = False
        """Whether the process has ended, and what comes later is not recorded."""
        self._serial = itertools.count()
        self._watched: list[BaseExecutor] = []
        self.scheduler = scheduler
        watch_due_jobs(scheduler, self)
        scheduler.add_listener(
            self._watch_executors, EVENT_SCHEDULER_STARTED | EVENT_EXECUTOR_ADDED
        )
        self._watch_executors()

    @property
    def runs(self) -> pd.DataFrame:
        """The table of runs so far; what has started and not ended is ``running``."""
        with self.lock:
            log = self._log.copy()
            running = list(self._running.values())
        for job_id, scheduled_at, started_at in running:
            log.add(self.node, job_id, scheduled_at, "running", started_at)
        return log.table()

    def close(self) -> None:
        """Stop watching; the table keeps what was seen."""
        self.scheduler.remove_listener(self._watch_executors)
        for executor in self._watched:
            del executor.submit_job, executor._do_submit_job
        self._watched.clear()
        stop_watching_due_jobs(self.scheduler)

    def add(
        self,
        job_id: str,
        scheduled_at: int,
        status: str,
        started_at: int = NAT,
        finished_at: int = NAT,
        detail: str = "",
    ) -> None:
        """Add a row; times are microseconds since 1970 in UTC."""
        if self.is_over:
            return
        with self.lock:
            is_room_made = self._log.add(
                self.node, job_id, scheduled_at, status, started_at, finished_at, detail
            )
            if is_room_made:
                self._drop_jobs()

    def _drop_jobs(self) -> None:
        """Drop the grace times of jobs that have no row any more: one-shot jobs come and go."""
        running = {job_id for job_id, _, _ in self._running.values()}
        for job_id in self.grace.keys() - running - self._log.job_ids():
            del self.grace[job_id]

    def end(self, status: str, finished_at: int, detail: str, *, not_started: str | None) -> None:
        """Add the rows of what is unfinished, for the process has ended; nothing is added later.

        Args:
            status: of every run that has started.
            finished_at: its end, or NAT.
            detail: why it has not finished.
            not_started: why the run times that an executor has taken have not started; None: they
                have no row, as they would have come next.

        """
        for job_id, scheduled_at, started_at in self._running.values():
            self.add(job_id, scheduled_at, status, started_at, finished_at, detail)
        if not_started is not None:
            for batch in self._submitted:
                for moment in batch.not_decided():
                    self.add(batch.id, moment, "missed", detail=not_started)
        # What unwinds the process decides about the rest of a batch, too: too late to be recorded.
        self.is_over = True

    def submitted(self, batch: _WatchedJob) -> None:
        """Note that an executor has taken the run times of a batch."""
        self._submitted[batch] = None

    def handled_all(self, batch: _WatchedJob) -> None:
        """Note that every run time of a batch has run, or was too late."""
        self._submitted.pop(batch, None)

    def began(self, job_id: str, scheduled_at: int) -> int:
        """Note that a run starts now; return the number by which ``ended`` knows it."""
        serial = next(self._serial)
        self._running[serial] = (job_id, scheduled_at, self.clock())
        return serial

    def ended(self, serial: int, error: BaseException | None = None) -> None:
        """Note that a run ends now, well or with an error."""
        if serial not in self._running:
            return  # closed as a whole before
        job_id, scheduled_at, started_at = self._running.pop(serial)
        status, detail = ("ok", "") if error is None else _outcome(error)
        self.add(job_id, scheduled_at, status, started_at, self.clock(), detail)

    def due(self, job: Job, run_times: list[datetime]) -> None:
        """Note the run times that coalescing folds into the last one of them."""
        if job.coalesce and len(run_times) > 1:
            detail = f"folded into the run of {run_times[-1]:%Y-%m-%d %H:%M:%S %Z}"
            for run_time in run_times[:-1]:
                self.add(job.id, microseconds(run_time), "coalesced", detail=detail)

    def _watch_executors(self, _event: object = None) -> None:
        for executor in self.scheduler._executors.values():
            if executor not in self._watched and not isinstance(executor, ProcessPoolExecutor):
                self._watched.append(executor)
                self._watch(executor)

    def _watch(self, executor: BaseExecutor) -> None:
        submit_job, do_submit_job = executor.submit_job, executor._do_submit_job
        awaited = _what_is_awaited(executor)

        def watched_submit_job(job: Job, run_times: list[datetime]) -> None:
            try:
                submit_job(job, run_times)
            except BaseException as error:
                self._refused(job, run_times, error)
                raise

        def watched_do_submit_job(job: Job, run_times: list[datetime]) -> None:
            if job.id not in self.grace:
                seconds = job.misfire_grace_time
                self.grace[job.id] = None if seconds is None else timedelta(seconds=seconds)
            watched = _WatchedJob(job, run_times, self, awaited(job.func))
            self.submitted(watched)
            do_submit_job(watched, watched.each())

        executor.submit_job = watched_submit_job
        executor._do_submit_job = watched_do_submit_job

    def _refused(self, job: Job, run_times: list[datetime], error: BaseException) -> None:
        status, detail = "error", without_passwords(describe(error))
        if is_a(error, MaxInstancesReachedError):
            status, detail = "skipped", f"max_instances={job.max_instances} reached"
        for run_time in run_times:
            self.add(job.id, microseconds(run_time), status, detail=detail)


class _WatchedJob(JobStandIn):
    """A job with a watched function, and the run times of one submission."""

    def __init__(
        self, job: Job, run_times: list[datetime], recorder: RunRecorder, awaited: bool
    ) -> None:
        super().__init__(job)
        self._run_times = run_times
        self._decided = 0
        self._recorder = recorder
        self._function = recorder.function_of(job)
        self._scheduled_at = NAT
        self._began = True
        # What an executor reads of every job, held here: __getattr__ is a slow way to it.
        self.id = job.id
        self._jobstore_alias = job._jobstore_alias
        self.args = job.args
        self.kwargs = job.kwargs
        self.misfire_grace_time = job.misfire_grace_time
        self._awaited = awaited

    @property
    def func(self) -> Callable[..., Any]:
        """The watched function; an attribute would keep this object until the next collection."""
        return self._await if self._awaited else self._call

    def each(self) -> Iterator[datetime]:
        """Yield the run times, and note each that APScheduler finds too late to run.

        When the process has ended there is no further one, though APScheduler swallows what unwinds
        the run in progress, and would start the next.
        """
        for run_time in self._run_times:
            if self._recorder.is_over:
                return
            self._scheduled_at = microseconds(run_time)
            self._began = False
            self._decided += 1
            yield run_time
            if not self._began:
                self._recorder.add(self.id, self._scheduled_at, "missed", detail=self._why())
        self._recorder.handled_all(self)

    def not_decided(self) -> Iterator[int]:
        """Yield the run times that have neither started nor been found too late."""
        yield from map(microseconds, self._run_times[self._decided :])

    def _why(self) -> str:
        """Return why the run time was not run: it is too late, or its executor closed.

        APScheduler judges by the node's clock, which in a simulation need not be the true one.
        """
        shown = time.time_ns() // 1000
        late, ahead = shown - self._scheduled_at, shown - self._recorder.clock()
        grace = self.misfire_grace_time
        if grace is None or late <= grace * SECOND:
            return "not started: the scheduler was drained"
        by_clock = f" by the node's clock, which {_off(ahead)}" if abs(ahead) >= SECOND else ""
        return f"{_span(late)} late{by_clock}, grace time {grace} s"

    async def _await(self, *args: Any, **kwargs: Any) -> Any:
        serial, task = self._begin(), running_task()
        try:
            result = await self._function(*args, **kwargs)
        except BaseException as error:
            if not is_torn_down(error, task):
                self._recorder.ended(serial, error)
            raise
        self._recorder.ended(serial)
        return result

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        serial = self._begin()
        try:
            result = self._function(*args, **kwargs)
        except BaseException as error:
            self._recorder.ended(serial, error)
            raise
        never = is_a(result, CoroutineType)
        self._recorder.ended(serial, NotAwaitedError() if never else None)
        return result

    def _begin(self) -> int:
        self._began = True
        return self._recorder.began(self.id, self._scheduled_at)


class NotAwaitedError(KSTSchedulerError):
    """Stands for a job whose coroutine nobody awaits; APScheduler reports it as executed."""

    def __init__(self) -> None:
        super().__init__("the job returned a coroutine, and nobody awaits it")


def _what_is_awaited(executor: BaseExecutor) -> Callable[[Any], bool]:
    """Return the test by which this executor decides whether to await a job's function."""
    if isinstance(executor, OccurrenceExecutor):
        return returns_awaitable
    if isinstance(executor, AsyncIOExecutor):
        return is_coroutine_function
    return lambda _function: False


def _off(ahead: int) -> str:
    """Return how far a clock is off, in words."""
    return f"is {_span(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"


def _span(microseconds: int) -> timedelta:
    """Return a span for a text, in whole milliseconds: nobody reads microseconds."""
    return timedelta(milliseconds=microseconds // 1000)


def _outcome(error: BaseException) -> tuple[str, str]:
    """Return the status and the detail that an error stands for."""
    if is_a(error, LockedOutError):
        return "locked_out", without_passwords(text_of(error))
    if is_a(error, asyncio.CancelledError, LeaseLostError):
        return "cancelled", without_passwords(text_of(error))
    return "error", without_passwords(describe(error))
