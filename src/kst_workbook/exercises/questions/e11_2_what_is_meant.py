"""Exercise 11.2: What is meant, without a trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.timezone import kst
from kst_scheduler.triggers.holidays import BusinessDays
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    moment,
    require_function,
    require_moment,
    shown,
    values_of,
)

if TYPE_CHECKING:
    from datetime import datetime

SPANS: Final = (
    (kst(2026, 5, 1), kst(2026, 6, 1)),
    (kst(2026, 1, 1), kst(2027, 1, 1)),
    (kst(2023, 9, 1), kst(2023, 11, 1)),
    (kst(2027, 11, 20), kst(2028, 3, 5)),
    (kst(2026, 5, 29, 10), kst(2026, 6, 30, 10)),
)
"""A month, a year, a September that ends with holidays, New Year, and two payslips at the edges."""


@exercise(
    "11.2",
    title="What is meant, without a trigger",
    variable="meant",
    hints=(
        "What does `nth_business_day(year, month, -1)` of `BusinessDays()` return?",
        "Make all times of the years that the span touches, and keep those within the span.",
        "A payslip at `start` is meant, and one at `end` is not.",
    ),
    solution="""
        def meant(start, end):
            business, times = BusinessDays(), []
            for year in range(start.year, end.year + 1):
                for month in range(1, 13):
                    day = business.nth_business_day(year, month, -1)
                    times.append(kst(year, month, day.day, 10))
            return [at for at in times if start <= at < end]
    """,
    link="https://docs.python.org/3/library/datetime.html#datetime-objects",
)
def what_is_meant(answer: Any) -> Right:
    """List the payslips of several spans: 10:00 on the last business day of each month."""
    meant = require_function(answer, "meant", "start", "end")
    for start, end in SPANS:
        span = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
        returned = meant(start, end)
        values = values_of(returned)
        if values is None:
            raise NotYetError(f"`meant` returns {shown(returned)}. Expected a list of times.")
        times = [require_moment(value, "Your list").to_pydatetime() for value in values]
        wanted = _payslips(start, end)
        if wrong := [at for at in times if at not in wanted]:
            raise NotYetError(f"From {span} your list has {moment(wrong[0])}, {_why(wrong[0])}.")
        if lost := [at for at in wanted if at not in times]:
            raise NotYetError(f"From {span} your list lacks a time of {lost[0]:%B %Y}.")
        if len(times) != len(wanted):
            raise NotYetError(f"From {span} your list has a time twice.")
    return Right(
        "It does not know the trigger, so it can judge one: a service whose trigger is wrong, or "
        "in another zone, is late by these times."
    )


def _why(at: datetime) -> str:
    """Say what is wrong with a time that is not meant."""
    if not BusinessDays().is_business_day(at.date()):
        return "which is not a business day"
    if (at.hour, at.minute) != (10, 0):
        return "which is not at 10:00 in Korea"
    return "which is outside of the span, or not the last business day of its month"


def _payslips(start: datetime, end: datetime) -> list[datetime]:
    business, months = BusinessDays(), range(1, 13)
    years = range(start.year, end.year + 1)
    days = [business.nth_business_day(year, month, -1) for year in years for month in months]
    times = [kst(day.year, day.month, day.day, 10) for day in days if day is not None]
    return [at for at in times if start <= at < end]
