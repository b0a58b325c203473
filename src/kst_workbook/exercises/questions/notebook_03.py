"""Exercises of notebook 03: when a job fires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import TimezoneError
from kst_scheduler.fire_times import fire_times
from kst_scheduler.scheduler.guards import check_trigger
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import cron
from kst_scheduler.triggers.holidays import BusinessDays
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    YEAR,
    compare_fires,
    compare_years,
    moment,
    require_trigger,
    year_picture,
)

if TYPE_CHECKING:
    import pandas as pd
    from apscheduler.triggers.base import BaseTrigger

    from kst_workbook.exercises.exercise import Picture

WEEK: Final = (kst(2026, 5, 4), kst(2026, 5, 11))
MONTHS: Final = 12
CRON: Final = "https://apscheduler.readthedocs.io/en/3.x/modules/triggers/cron.html"


@exercise(
    "3.1",
    title="08:30 on weekdays",
    variable="trigger",
    hints=(
        "Section 3.1 says where the zone belongs, and 3.4 how weekdays are written.",
        "Three fields are enough: day_of_week, hour and minute.",
        'A range of days is written like `"tue-thu"`.',
    ),
    solution="""
        trigger = cron(day_of_week="mon-fri", hour=8, minute=30)
    """,
    link=CRON,
)
def weekdays_at_half_past_eight(trigger: Any) -> Right:
    """Write a trigger for 08:30 in Korea, from Monday to Friday."""
    trigger = require_trigger(trigger, "trigger")
    expected = cron(day_of_week="mon-fri", hour=8, minute=30)
    drawn = compare_fires(trigger, expected, *WEEK)
    compare_years(trigger, expected)
    return Right("Five fires a week, at 08:30 in Korea whatever the zone of the host.", drawn[:1])


@exercise(
    "3.2",
    title="A crontab line from a UTC server",
    variable="moved",
    hints=(
        "The line counts weekdays as crontab does, 3.4, and on the clock of its server.",
        "`0-4` are other days in a crontab than in APScheduler. Write them by their names.",
        "Add nine hours to its first fire of the week, and look what day and time that is.",
    ),
    solution="""
        moved = cron(day_of_week="sun,mon,tue,wed,thu", hour=18, minute=30)
    """,
    link=CRON,
)
def crontab_line_of_a_utc_server(moved: Any) -> Right:
    """Move `30 9 * * 0-4`, a crontab line of a UTC server, to Korean time."""
    trigger = require_trigger(moved, "moved")
    # No later than 15:00 in UTC: the day would change, and 0-4 of APScheduler be right by accident.
    expected = cron(day_of_week="sun,mon,tue,wed,thu", hour=18, minute=30)
    try:
        drawn = compare_fires(trigger, expected, *WEEK)
    except NotYetError as error:
        raise NotYetError(_moved_wrong(trigger, str(error)), error.pictures) from error
    compare_years(trigger, expected)
    try:
        check_trigger(trigger, KST)
    except TimezoneError:
        raise NotYetError(
            "It fires at the right moments, and writes them on another clock than "
            "Korea's. `KSTScheduler` refuses it: a reader of 09:30 thinks of the morning.",
            drawn,
        ) from None
    return Right(
        "09:30 in UTC is 18:30 in Korea, on the same day. Crontab counts its days from Sunday: "
        "`0-4` is Sunday to Thursday, where APScheduler would take Monday to Friday.",
        drawn[:1],
    )


def _moved_wrong(trigger: BaseTrigger, message: str) -> str:
    """Name the clock, or the day, where only one of them is wrong."""
    fires = fire_times(trigger, *WEEK).tz_convert(KST)
    clocks, days = {f"{fire:%H:%M}" for fire in fires}, [f"{fire:%a}" for fire in fires]
    if clocks == {"09:30"}:
        return "Your trigger fires at 09:30 in Korea. Which clock did the server go by?"
    if clocks == {"18:30"}:
        return (
            f"Your trigger fires at 18:30 in Korea, on {', '.join(days)}. Which days does a "
            "crontab mean by `0-4`?"
        )
    return message


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
    link=CRON,
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
