"""When the jobs of a service fire next, in Korean time and in UTC: no server, no database."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.service.components import Service
from kst_scheduler.service.jobs import call_jobs_function, jobs_function
from kst_scheduler.timezone import KST, UTC
from kst_scheduler.triggers.trigger_parts import nominal_fires
from kst_scheduler.triggers.wording import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, tzinfo

    from apscheduler.job import Job


def next_fires(jobs: str | Callable[..., object] | None, count: int, now: datetime) -> str:
    """Return what each job's schedule is, and its next ``count`` fire times from ``now`` on.

    The jobs function gets a Service that is not started: its ledger is in memory, and ``redis``
    is None.

    Raises:
        InvalidArgumentError: the jobs cannot be found.

    """
    service = Service(KSTScheduler(), MemoryLedger())
    call_jobs_function(jobs_function(jobs), service)
    lines = [line for job in service.scheduler.get_jobs() for line in _lines(job, count, now)]
    return "\n".join(lines or ["there are no jobs"]) + "\n"


def _lines(job: Job, count: int, now: datetime) -> list[str]:
    head = f"{job.id}: {describe(job.trigger)}"
    # A job of a scheduler that has not started has a next run time only where it was given one.
    first: datetime | None = getattr(job, "next_run_time", now)
    if first is None:
        fires_again = any(nominal_fires(job.trigger, now))
        then = ": it does not fire until it is resumed" if fires_again else ", and never again"
        return [head, f"  paused{then}"]
    fires = [*islice(_fires(job, first, now), count)]
    lines = [f"  {_in(KST, fire)} KST   {_in(UTC, fire)} UTC" for fire in fires]
    if len(fires) < count:
        lines.append("  then never again" if fires else "  never again")
    return [head, *lines]


def _fires(job: Job, first: datetime, now: datetime) -> Iterator[datetime]:
    if first > now:  # given by next_run_time: the schedule counts from there
        yield first
        now = first + timedelta(microseconds=1)
    yield from nominal_fires(job.trigger, now)


def _in(zone: tzinfo, fire: datetime) -> str:
    return f"{fire.astimezone(zone):%a %Y-%m-%d %H:%M:%S}"
