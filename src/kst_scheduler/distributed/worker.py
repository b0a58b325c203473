"""A worker: Procrastinate's own, started again when it has ended, and brought to rest."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from procrastinate.exceptions import ConnectorException

from kst_scheduler.distributed.known_jobs import known_jobs
from kst_scheduler.distributed.names import queue_of
from kst_scheduler.distributed.outages import is_outage, outages, reason_of
from kst_scheduler.distributed.task_manager import requeue
from kst_scheduler.distributed.task_runner import TASK_RUNNER, TaskRunner
from kst_scheduler.errors import InvalidArgumentError, KSTSchedulerError
from kst_scheduler.once.outcome import describe_error
from kst_scheduler.once.replica import this_replica
from kst_scheduler.scheduler.drain import CLEAN_UP_SECONDS, end_of_drain, in_seconds
from kst_scheduler.scheduler.kept_writes import kept_writes

if TYPE_CHECKING:
    from apscheduler.schedulers.base import BaseScheduler
    from procrastinate import App

SECONDS_BETWEEN_LOOKS: Final = 1.0
"""How often a worker asks for tasks whose time has come; of new ones it is told at once."""
SECONDS_BETWEEN_STARTS: Final = 1.0
KEPT_HOURS: Final = 90 * 24
"""How long tasks are kept that failed, as long as a Reconciler keeps rows; the others are deleted
when they end, for the ledger has what became of them."""

MAX_SECONDS_OF_A_LOOK: Final = 600.0
"""A connection may be dead without knowing it."""
MIN_SECONDS_AWAY: Final = 1.0
"""A look that gets its answer sooner was not held up by an outage."""

_LOGGER: Final = logging.getLogger(__name__)


async def work(
    app: App,
    scheduler: BaseScheduler,
    *,
    concurrency: int = 1,
    drain_timeout: float | timedelta = 20.0,
    stalled_after: timedelta = timedelta(seconds=30),
) -> None:
    """Run what was handed off, until the calling task is cancelled.

    Then no more is taken, and what is at work gets ``drain_timeout`` to end. What is left is
    cancelled, gets 5 seconds for its own clean-up, and waits in the queue again. Outcomes that the
    ledger could not take yet are tried once more within that time.

    Args:
        app: of ``task_app``; it is opened if it is not, and stays open.
        scheduler: has the same jobs as the schedulers that hand them off, and is not started.
        concurrency: how many occurrences are run at once.
        drain_timeout: seconds, or a timedelta.
        stalled_after: how long a worker is not heard of until its tasks are given to others; each
            shows three times as often that it lives. A run that such a worker had begun is taken
            over when its lease is over.

    Raises:
        InvalidArgumentError: an argument makes no sense.
        LedgerUnavailableError: PostgreSQL was away at the start.
        KSTSchedulerError: the task that frees what dead workers were at has ended.

    """
    if not isinstance(concurrency, int) or concurrency < 1:
        raise InvalidArgumentError(
            f"concurrency={concurrency!r} runs nothing; write 1 or more, as many runs at once"
        )
    seconds = in_seconds(drain_timeout)
    jobs = known_jobs(scheduler)
    with outages(app):
        await app.open_async()
    known = ", ".join(jobs) or "none"
    _LOGGER.info("worker %s takes %d at once of: %s", this_replica(), concurrency, known)
    runner, stalled = TaskRunner(jobs), stalled_after.total_seconds()
    tidying = asyncio.create_task(_keep_clean(app, stalled))
    try:
        while True:
            await _work_once(app, runner, tidying, concurrency, seconds, stalled)
            await asyncio.sleep(SECONDS_BETWEEN_STARTS)
    finally:
        tidying.cancel()
        await asyncio.wait([tidying])


async def _work_once(
    app: App,
    runner: TaskRunner,
    tidying: asyncio.Task[None],
    concurrency: int,
    drain_seconds: float,
    stalled: float,
) -> None:
    """Run Procrastinate's worker until it ends: it could not register, or a side task failed.

    In the second case the tasks that it is at have ended.
    """
    worker = asyncio.create_task(
        app.run_worker_async(
            queues=[queue_of(app)],
            concurrency=concurrency,
            fetch_job_polling_interval=SECONDS_BETWEEN_LOOKS,
            update_heartbeat_interval=stalled / 3,
            # Procrastinate deletes the rows of silent workers when it starts. After an outage
            # all are silent, so here only a look does it.
            stalled_worker_timeout=KEPT_HOURS * 3600,
            delete_jobs="successful",
            additional_context={TASK_RUNNER: runner},
            install_signal_handlers=False,
        )
    )
    try:
        await asyncio.wait([worker, tidying], return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not worker.done():
            await _drain(worker, runner, drain_seconds)
    if tidying.done():
        why = "it was cancelled" if tidying.cancelled() else repr(tidying.exception())
        raise KSTSchedulerError(
            f"worker {this_replica()} ends, as its queue is no longer looked after: {why}; "
            "start it again"
        )
    error = worker.exception()
    if error is not None and not isinstance(error, ConnectorException):
        raise error
    if error is not None and not is_outage(error):
        where = getattr(app.connector, "where", "memory")
        raise KSTSchedulerError(
            f"the queue in {where} cannot be used: {reason_of(error)}; are its tables gone?"
        ) from error
    reason = reason_of(error) if error else "one of its side tasks failed"
    _LOGGER.warning("worker %s starts again: %s", this_replica(), reason)


async def _drain(worker: asyncio.Task[None], runner: TaskRunner, seconds: float) -> None:
    """Take no more tasks, let those at work end, then cut what is left."""
    end = end_of_drain(seconds)
    worker.cancel()  # as Procrastinate's worker is told to stop: it waits for its tasks
    _LOGGER.info(
        "worker %s is at %d run(s), which have %g s", this_replica(), runner.at_work, seconds
    )
    try:
        await asyncio.wait([worker], timeout=seconds)
    finally:
        runner.cancel_all()
        await asyncio.wait([worker], timeout=CLEAN_UP_SECONDS)
        if worker.done() and not worker.cancelled():
            worker.exception()  # whatever it was, it comes too late to start again
        await kept_writes().try_at_the_end(end)


async def _keep_clean(app: App, stalled: float) -> None:
    """Give the tasks of workers that died to others, and delete old ones.

    The first look is not made at once: this worker may have been started during an outage, in which
    those that live are silent.
    """
    delete_at, was_away = 0.0, False
    clock = asyncio.get_running_loop().time
    here = asyncio.current_task()
    assert here is not None  # noqa: S101 - this is a coroutine
    while True:
        await asyncio.sleep(stalled / 3)
        try:
            async with asyncio.timeout(MAX_SECONDS_OF_A_LOOK):
                await _requeue_stalled(app, stalled, was_away=was_away)
                if was_away:
                    _LOGGER.info("the queue is looked after again")
                was_away = False
                if clock() >= delete_at:
                    await app.job_manager.delete_old_jobs(
                        KEPT_HOURS, queue_of(app), include_failed=True, include_aborted=True
                    )
                    delete_at = clock() + 3600
        except ConnectorException as error:
            if not was_away:  # one line an outage
                _LOGGER.warning("the queue was not looked after: %s", reason_of(error))
            was_away = True
        except (Exception, asyncio.CancelledError) as error:
            if here.cancelling():
                raise
            # Nobody else frees what a dead worker was at, so nothing ends the looks.
            _LOGGER.error("the queue was not looked after: %s", describe_error(error))  # noqa: TRY400 - one line


async def _requeue_stalled(app: App, stalled: float, *, was_away: bool = False) -> None:
    """Give the tasks of workers that are not heard of to others, and delete the workers' rows.

    While PostgreSQL is away, no worker can show that it lives. When it is back, each does so within
    a second, and writes how its runs have ended; a look may be there before. So the look after an
    outage, and one that got no answer for as long as a worker is silent, gives no task to others::

        A    work ends | fails, is tried again        |         | writes its end
        B              | looks                         A is silent since long: the next look counts
        PostgreSQL     [............ away ............]
    """
    manager, queue = app.job_manager, queue_of(app)
    clock = asyncio.get_running_loop().time
    asked_at = clock()
    silent = await manager.get_stalled_jobs(queue=queue, seconds_since_heartbeat=stalled)
    if was_away or clock() - asked_at > max(stalled / 3, MIN_SECONDS_AWAY):
        return
    for task in silent:
        _LOGGER.warning("task %s waits again, as its worker is not heard of", task.call_string)
        try:
            await requeue(manager, task)
        except Exception as error:
            if isinstance(error, ConnectorException) and is_outage(error):
                raise
            # The others are freed all the same: the next look would fail at this one again.
            message = "task %s could not be given to another worker: %s"
            _LOGGER.error(message, task.call_string, describe_error(error))  # noqa: TRY400 - one line
    await manager.prune_stalled_workers(stalled)
