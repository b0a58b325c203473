"""What APScheduler takes as keywords of no fixed function, for a reader's type checker.

``add_job`` hands the keywords that it does not know to the trigger that a string names, and
``modify_job`` takes the attributes of a job. As ``**kwargs: Any`` a misspelt ``idd=`` would pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date, datetime, tzinfo

    from apscheduler.triggers.base import BaseTrigger


class TriggerArguments(TypedDict, total=False):
    """The arguments of "cron", "interval", "calendarinterval" and "date" (APScheduler 3.11.3)."""

    year: int | str
    month: int | str
    day: int | str
    week: int | str
    day_of_week: int | str
    hour: int | str
    minute: int | str
    second: int | str
    years: int
    months: int
    weeks: float
    days: float
    hours: float
    minutes: float
    seconds: float
    run_date: date | str | None
    start_date: date | str | None
    end_date: date | str | None
    timezone: str | tzinfo | None
    jitter: int | None


class JobChanges(TypedDict, total=False):
    """The attributes of a job that can be changed (``Job._modify``, APScheduler 3.11.3)."""

    func: Callable[..., object] | str
    args: Iterable[Any]
    kwargs: Mapping[str, Any]
    name: str
    misfire_grace_time: int | None
    coalesce: bool
    max_instances: int
    trigger: BaseTrigger
    executor: str
    next_run_time: datetime | str | None
