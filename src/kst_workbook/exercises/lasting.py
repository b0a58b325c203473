"""Refuse a schedule that ends, such as that of ``cron(year=2026)``: it is right for a while."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.timezone import kst
from kst_scheduler.triggers.trigger_parts import walk, without_jitter
from kst_workbook.exercises.exercise import NotYetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LATER: Final = kst(2040, 1, 1)
"""A service may well run for so long, and no exercise is about a schedule that ends."""
_RECURRING: Final = (CronTrigger, IntervalTrigger, CalendarIntervalTrigger)


def refuse_end(trigger: Any, subject: str) -> None:
    """Refuse a trigger of which a part that recurs has no fire any more in 2040.

    Raises:
        NotYetError: it has such a part; ``subject`` begins the sentence that says so.

    """
    for part in walk(trigger):
        if isinstance(part, _RECURRING) and not _lasts(part):
            raise NotYetError(f"{subject} ends. From 2040 on, at the latest, `{part}` never fires.")


def _lasts(trigger: Any) -> bool:
    return without_jitter(trigger).get_next_fire_time(None, LATER) is not None


@contextlib.contextmanager
def lasting_jobs() -> Iterator[None]:
    """Refuse at the end of the block what a scheduler was given in it, if its trigger ends.

    Raises:
        NotYetError: there is such a job, and nothing else was raised in the block.

    """
    jobs: list[Any] = []

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*args: Any, **options: Any) -> Any:
            job = method(*args, **options)
            jobs.append(job)
            return job

        return watch

    names = ("add_job", "modify_job")  # reschedule_job, and the methods of a job, call these
    methods = {name: getattr(BaseScheduler, name) for name in names}
    for name, method in methods.items():
        setattr(BaseScheduler, name, watched(method))
    try:
        yield
    finally:
        for name, method in methods.items():
            setattr(BaseScheduler, name, method)
    for job in jobs:
        refuse_end(job.trigger, f"The trigger of `{job.id}`")
