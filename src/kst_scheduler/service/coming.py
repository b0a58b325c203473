"""When the jobs of a service fire next, in Korean time and in UTC: no server, no database."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.scheduler import KSTScheduler
from kst_scheduler.service.jobs import jobs_function
from kst_scheduler.service.parts import Service
from kst_scheduler.timezone import KST, UTC
from kst_scheduler.wording import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, tzinfo

    from apscheduler.triggers.base import BaseTrigger


def coming(jobs: str | Callable[..., object], count: int, now: datetime) -> str:
    """Return what each job's schedule is, and its next ``count`` fire times from ``now`` on.

    The jobs function gets a Service that is not started: its ledger is in memory, and ``redis``
    is None.

    Raises:
        InvalidArgumentError: the jobs cannot be found.

    """
    service = Service(KSTScheduler(), MemoryLedger())
    jobs_function(jobs)(service)
    lines: list[str] = []
    for job in service.scheduler.get_jobs():
        lines += [f"{job.id}: {describe(job.trigger)}"]
        fires = [*islice(_fires(job.trigger, now), count)]
        lines += [f"  {_in(KST, fire)} KST   {_in(UTC, fire)} UTC" for fire in fires]
        if len(fires) < count:
            lines.append("  then never again" if fires else "  never again")
    return "\n".join(lines or ["there are no jobs"]) + "\n"


def _fires(trigger: BaseTrigger, now: datetime) -> Iterator[datetime]:
    fire = trigger.get_next_fire_time(None, now)
    while fire is not None:
        if fire >= now:  # a date trigger answers with its date even when that is past
            yield fire
        fire = trigger.get_next_fire_time(fire, fire)


def _in(zone: tzinfo, fire: datetime) -> str:
    return f"{fire.astimezone(zone):%a %Y-%m-%d %H:%M:%S}"
