"""What replicas must agree on, so that ``once`` can run each occurrence once among them.

An occurrence is known by the job's id and its scheduled time in whole seconds. Where each replica
has another id or another time for it, each claims a row of its own, and all of them run the job.
"""

from __future__ import annotations

import warnings
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.caller import stack_level
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.scheduler.executor import OccurrenceExecutor
from kst_scheduler.scheduler.job_functions import name_of
from kst_scheduler.scheduler.stored_names import require_name
from kst_scheduler.triggers.trigger_parts import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from apscheduler.executors.base import BaseExecutor
    from apscheduler.triggers.base import BaseTrigger

_STARTS: Final = {"interval": "start_date", "calendarinterval": "start_date", "date": "run_date"}
"""The argument without which a trigger named by a string counts from the moment it is made."""

_REPAIRS: Final = {
    "interval": "write every(hours=1), or give a start_date that is the same everywhere",
    "calendarinterval": "give a start_date that is the same everywhere",
    "date": "write at(kst(2026, 5, 10, 9)), or run_now() in one replica",
}


class JobWarning(UserWarning):
    """Warns of a job that can be run and probably does not do what its writer meant."""


def check_id(function: Callable[..., object], job_id: str | None) -> None:
    """Refuse a job without an id, as APScheduler gives it another one on each replica.

    Raises:
        InvalidArgumentError: the job has no id, or one that a ledger cannot hold.

    """
    if not job_id:
        raise InvalidArgumentError(
            f"{name_of(function)} is to run once among all replicas and has no id, so that each "
            "of them would give it another one, and run it; write id='nightly-crawl', say"
        )
    require_name(job_id, "id")


def check_named(job_id: str, trigger: str, arguments: Iterable[str]) -> None:
    """Refuse a trigger named by a string that each replica would count from its own start.

    Raises:
        InvalidArgumentError: its first moment is not given.

    """
    start = _STARTS.get(trigger)
    if start and start not in arguments:
        raise InvalidArgumentError(
            f"job {job_id!r} is to run once among all replicas, and its trigger {trigger!r} counts "
            f"from the start of each one without {start}=; {_REPAIRS[trigger]}"
        )


def check_fire_times(job_id: str, trigger: BaseTrigger, now: datetime) -> None:
    """Refuse a trigger by which replicas mean different occurrences, or one of them several.

    Raises:
        InvalidArgumentError: it has jitter, counts from the moment it was made, or fires within
            a second.

    """
    for part in walk(trigger):
        fault = _fault(part, now)
        if fault:
            raise InvalidArgumentError(
                f"job {job_id!r} is to run once among all replicas, and its trigger {part} {fault}"
            )
        if isinstance(part, CalendarIntervalTrigger) and _begins_today(part, now):
            warnings.warn(
                f"job {job_id!r} is to run once among all replicas, and its trigger {part!r} "
                "counts from today: one that starts tomorrow counts from there, unless its "
                "start_date is written out",
                JobWarning,
                stacklevel=stack_level(),
            )


def _fault(trigger: Any, now: datetime) -> str:
    """Return why replicas do not agree on a trigger's fire times; nothing when they do."""
    if getattr(trigger, "jitter", None):
        return (
            f"has jitter={trigger.jitter}: each replica draws another time; "
            "write cron(hour=3, **spread(id, minutes=10)), which is the same everywhere"
        )
    if isinstance(trigger, IntervalTrigger):
        if trigger.interval.microseconds:
            return (
                "fires at parts of a second, and an occurrence is known by its whole second; "
                "write every(seconds=1) or longer"
            )
        # Without start_date it counts from the moment it is made (3.11.3), which is no whole
        # second; in virtual time, where it may be one, it is this moment.
        begins = trigger.start_date
        if begins.microsecond or begins - trigger.interval == now:
            return f"counts from the moment it was made; {_REPAIRS['interval']}"
    if isinstance(trigger, DateTrigger) and trigger.run_date.microsecond:
        return (
            f"fires at {trigger.run_date.isoformat()}, a part of a second, as a moment of one "
            f"replica's own clock does; {_REPAIRS['date']}"
        )
    return ""


def _begins_today(trigger: CalendarIntervalTrigger, now: datetime) -> bool:
    days = (trigger.years, trigger.months, trigger.weeks, trigger.days)
    today = (now.astimezone(trigger.timezone).date(), date.today())  # noqa: DTZ011 - as its default
    return days != (0, 0, 0, 1) and trigger.start_date in today


def check_next_run_time(job_id: str, next_run_time: object) -> None:
    """Refuse a first run at a part of a second: it is a moment of one replica's own clock.

    Raises:
        InvalidArgumentError: each replica would run the job at another time.

    """
    if isinstance(next_run_time, datetime) and next_run_time.microsecond:
        raise InvalidArgumentError(
            f"job {job_id!r} is to run once among all replicas, and "
            f"next_run_time={next_run_time.isoformat()} is a part of a second, as a moment of one "
            "replica's own clock is; write a moment in whole seconds, or run_now() in one replica"
        )


def check_executor(job_id: str, alias: str, executor: BaseExecutor | None) -> None:
    """Refuse an executor that does not tell a job which occurrence it runs.

    Raises:
        InvalidArgumentError: ``once`` would fail in each run.

    """
    if executor is not None and not isinstance(executor, OccurrenceExecutor):
        raise InvalidArgumentError(
            f"job {job_id!r} is to run once among all replicas, and executor={alias!r}, a "
            f"{type(executor).__name__}, does not tell it which occurrence it runs; leave the "
            "executor out, or write executors={'default': OccurrenceExecutor()}"
        )


def warn_of_instances(job_id: str, max_instances: int) -> None:
    """Warn of several concurrent runs: ``once`` allows one, over all replicas."""
    if max_instances > 1:
        warnings.warn(
            f"job {job_id!r} has max_instances={max_instances}, and once lets one run at a time, "
            "over all replicas: the others are locked out; leave max_instances out",
            JobWarning,
            stacklevel=stack_level(),
        )
