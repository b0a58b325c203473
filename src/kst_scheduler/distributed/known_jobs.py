"""The jobs that a worker can run: those of its own scheduler, which never starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any

from kst_scheduler.once.reconcile.once_jobs import once_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import tzinfo

    from apscheduler.job import Job
    from apscheduler.schedulers.base import BaseScheduler
    from procrastinate.retry import BaseRetryStrategy

    from kst_scheduler.once.decorator import OnceJob


@dataclass(frozen=True)
class KnownJob:
    """A job as a worker runs it."""

    once_job: OnceJob
    work: Callable[[], Awaitable[Any]]
    """The job's own function, with the arguments that it was added with."""
    retry: BaseRetryStrategy | None
    window: timedelta | None
    """How long after its time an occurrence may still be run; None: it is never too late."""
    zone: tzinfo
    """The zone in which the job is told its scheduled time, as where its scheduler runs it."""


def known_jobs(scheduler: BaseScheduler) -> dict[str, KnownJob]:
    """Return the scheduler's jobs that are run ``once``, by their ids, handed off or not.

    One that is no longer handed off is among them: what waits of it in the queue is still run.
    """
    jobs = ((job, once_of(job)) for job in scheduler.get_jobs())
    return {job.id: _known(scheduler, job, once_job) for job, once_job in jobs if once_job}


def _known(scheduler: BaseScheduler, job: Job, once_job: OnceJob) -> KnownJob:
    function = _unbound(partial(job.func, *job.args, **job.kwargs))
    handed_off = getattr(function.func, "handed_off", None)
    if handed_off:
        function = _unbound(partial(handed_off.job, *function.args, **function.keywords))
    run: Any = function.func  # what once has made
    return KnownJob(
        once_job=once_job,
        work=partial(run.__wrapped__, *function.args, **function.keywords),
        retry=handed_off.retry if handed_off else None,
        window=once_job.catch_up or _grace(scheduler, job),
        zone=getattr(job.trigger, "timezone", scheduler.timezone),
    )


def _unbound(function: partial[Any]) -> partial[Any]:
    """Return the plain function below, with the object of a method among its arguments.

    What ``once`` notes at a function, a method of it has as well, but without the object.
    """
    inner, args, keywords = function.func, function.args, function.keywords
    if isinstance(inner, MethodType):
        return _unbound(partial(inner.__func__, inner.__self__, *args, **keywords))
    if isinstance(inner, partial):  # one with attributes, which functools does not unfold
        return _unbound(partial(inner.func, *inner.args, *args, **{**inner.keywords, **keywords}))
    return function


def _grace(scheduler: BaseScheduler, job: Job) -> timedelta | None:
    # A job has the scheduler's defaults once that has started; checked on APScheduler 3.11.3.
    seconds = getattr(
        job,
        "misfire_grace_time",
        scheduler._job_defaults["misfire_grace_time"],  # noqa: SLF001
    )
    return None if seconds is None else timedelta(seconds=seconds)
