"""Exercise 3.4: the first Monday, or the day after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.fire_times import fire_times
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import cron
from kst_scheduler.triggers.holidays import BusinessDays
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    YEAR,
    moment,
    require_trigger,
    year_picture,
)
from kst_workbook.exercises.questions.apscheduler_docs import CRON_TRIGGER

if TYPE_CHECKING:
    import pandas as pd

    from kst_workbook.exercises.exercise import Picture

MONTHS: Final = 12


@exercise(
    "3.4",
    title="The first Monday, or the day after",
    variable="meeting",
    hints=(
        "There are two parts: the first Mondays, and what becomes of those that are holidays.",
        "A Monday among the first seven days of a month is its first one: 3.5 has such a trigger.",
        "3.7 has what moves a fire to the next business day; it takes a trigger.",
    ),
    solution="""
        mondays = cron(day="1-7", day_of_week="mon", hour=9)
        meeting = on_business_days(mondays, otherwise="next")
    """,
    link=CRON_TRIGGER,
)
def first_monday_or_the_next_business_day(meeting: Any) -> Right:
    """Write a trigger for 09:00 on a month's first Monday, or on the next business day."""
    trigger = require_trigger(meeting, "meeting")
    january = len(fire_times(trigger, YEAR[0], kst(2026, 2, 1)))
    if january > MONTHS:  # a year of it could be millions
        raise NotYetError(f"It fires {january:,} times in January 2026 alone.")
    mondays = cron(day="1-7", day_of_week="mon", hour=9)
    expected = fire_times(on_business_days(mondays, otherwise="next"), *YEAR)
    mine = fire_times(trigger, *YEAR).tz_convert(KST)
    drawn = (_year(mine), _year(expected))
    _refuse_wrong_days(mine, drawn)
    if extra := sorted(set(mine) - set(expected)):
        raise NotYetError(f"It should not fire at {moment(extra[0])} KST.", drawn)
    moved = [moment(fire) for fire in expected.difference(fire_times(mondays, *YEAR))]
    return Right(
        f"Twelve fires in 2026. Two Mondays are holidays, and their fires move to {moved[0]} and "
        f"{moved[1]}.",
        drawn[:1],
    )


def _refuse_wrong_days(mine: pd.DatetimeIndex, drawn: tuple[Picture, ...]) -> None:
    """Refuse fires on holidays, too many of them, and months without."""
    if len(mine) > MONTHS:
        early = [moment(fire) for fire in mine[:3]]
        raise NotYetError(
            f"It fires {len(mine):,} times in 2026, and a year has 12 months. The first are "
            f"{', '.join(early)} KST.",
            drawn,
        )
    calendar = BusinessDays()
    if free := [moment(fire) for fire in mine if not calendar.is_business_day(fire.date())]:
        raise NotYetError(f"It fires on {free[0]} KST, when the office is closed.", drawn)
    if without := sorted(set(range(1, MONTHS + 1)) - set(mine.month)):
        months = [f"{kst(2026, month, 1):%B}" for month in without]
        raise NotYetError(f"In 2026 it does not fire in {', '.join(months)}.", drawn)


def _year(fires: pd.DatetimeIndex) -> Picture:
    return year_picture(fires, 2026)
