"""hand_off(): a scheduled job becomes a task in a queue, and a worker on any machine runs it."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from procrastinate import App
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.retry import BaseRetryStrategy, get_retry_strategy

from kst_scheduler.distributed.names import TASK, lock_of, queue_name, queue_of
from kst_scheduler.distributed.outages import outages
from kst_scheduler.distributed.payload import as_payload
from kst_scheduler.distributed.queue import TaskQueue
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.once.decorator import OnceJob
from kst_scheduler.once.retry import retry_while_unavailable
from kst_scheduler.scheduler.occurrence import current_occurrence

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import timedelta

    from procrastinate.retry import RetryValue

    from kst_scheduler.once.decorator import OnceFunction
    from kst_scheduler.scheduler.occurrence import Occurrence

_LOGGER: Final = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class HandedOff:
    """What a worker needs to know of a job that was handed off."""

    job: OnceFunction[..., Any]
    """What ``once`` made of it."""
    retry: BaseRetryStrategy | None
    """Whether and when a run that failed is tried again."""


def hand_off(
    job: OnceFunction[P, R], app: App | None, *, retry: RetryValue | None = None
) -> Callable[P, Coroutine[Any, Any, R | None]]:
    """Return a function that has a worker run the job, to be added to the scheduler in its place.

    ``scheduler.add_job(hand_off(crawl, app), cron(hour=3), id="nightly-crawl")``: at 03:00 each
    replica puts the occurrence into the queue, where it is once while it waits. A worker, whose
    scheduler has the same jobs, claims its row before it works, as ``once`` does everywhere. So
    the row is the worker's, and the run of the scheduler ends when the occurrence is in the queue.
    The arguments of the job are those that the worker's own code adds it with.

    While PostgreSQL is away, an occurrence is put into the queue again and again for the job's
    ``patience``; after that a Reconciler catches it up.

    Args:
        job: what ``once(ledger)`` made of an ``async def``.
        app: of ``task_app(url)``; None: there is no queue, and the job runs where its scheduler is.
        retry: as for a task of Procrastinate: how often a run that raised is tried again, or a
            ``RetryStrategy``. Each is a further attempt of the same row, and the strategy counts
            the attempts of the row; within the job's catch-up window.

    Raises:
        InvalidArgumentError: the job is not from ``once``; the app is not from ``task_app``, or has
            another namespace than the job's ledger; or ``retry`` cannot be meant.

    """
    once_job = _check_job(job)
    strategy = _strategy(retry)
    if app is None:
        _LOGGER.info("%s is not handed off, as there is no queue: it runs here", _name(job))
        return job
    _check_app(app, job, once_job)

    @functools.wraps(job)
    async def run(*_args: P.args, **_kwargs: P.kwargs) -> None:
        await _defer(app, current_occurrence(), once_job.patience)

    run.once = replace(once_job, queue=TaskQueue(app))  # type: ignore[attr-defined]
    run.handed_off = HandedOff(job, strategy)  # type: ignore[attr-defined]
    return run


async def _defer(app: App, occurrence: Occurrence, patience: timedelta) -> None:
    """Put an occurrence into the queue, unless it waits there already."""
    task = app.tasks[TASK].configure(queueing_lock=lock_of(app, occurrence))
    payload = as_payload(occurrence)

    async def ask() -> None:
        with outages(app):
            await app.open_async()
            await task.defer_async(**payload)

    try:
        await retry_while_unavailable(ask, patience, f"the hand-off of {occurrence}")
    except AlreadyEnqueued:
        _LOGGER.debug("%s waits in the queue already", occurrence)
    else:
        _LOGGER.debug("%s was put into the queue", occurrence)


def _check_job(job: object) -> OnceJob:
    once_job = getattr(job, "once", None)
    if not isinstance(once_job, OnceJob):
        raise InvalidArgumentError(
            f"{_name(job)} is not what once made of a job, so a worker could not claim its "
            "occurrences; write hand_off(once(ledger)(job), app)"
        )
    if hasattr(job, "handed_off"):
        raise InvalidArgumentError(f"{_name(job)} is handed off already; write hand_off once")
    if hasattr(getattr(job, "__wrapped__", None), "once"):
        raise InvalidArgumentError(
            f"{_name(job)} was decorated after once, and a worker could not call what is around "
            "it; write the other decorator below @once(ledger)"
        )
    return once_job


def _check_app(app: object, job: object, once_job: OnceJob) -> None:
    if not isinstance(app, App) or TASK not in app.tasks:
        raise InvalidArgumentError(
            f"app={app!r} has no task {TASK!r}; write hand_off(job, task_app(database_url))"
        )
    namespace = getattr(once_job.ledger, "namespace", "")
    if queue_of(app) != queue_name(namespace):
        raise InvalidArgumentError(
            f"{_name(job)} is run on a ledger with namespace={namespace!r}, and the app has the "
            f"queue {queue_of(app)!r}, where workers of another service would take its tasks; "
            f"write task_app(database_url, namespace={namespace!r})"
        )


def _strategy(retry: RetryValue | None) -> BaseRetryStrategy | None:
    is_known = retry is None or isinstance(retry, int | BaseRetryStrategy)
    if not is_known or (isinstance(retry, int) and retry < 0):
        raise InvalidArgumentError(
            f"retry={retry!r} does not say when to try again; write retry=3, or a "
            "procrastinate.RetryStrategy(max_attempts=3, wait=60)"
        )
    return get_retry_strategy(retry or False)


def _name(job: object) -> str:
    return repr(getattr(job, "__qualname__", job))
