"""Exercise 3.5: Payday, and the end of the month."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.fire_times import fire_times
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import cron
from kst_scheduler.triggers.holidays import BusinessDays
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import require_trigger, shown, year_picture

if TYPE_CHECKING:
    import pandas as pd
    from apscheduler.triggers.base import BaseTrigger

    from kst_workbook.exercises.exercise import Picture

YEARS: Final = (kst(2026, 1, 1), kst(2029, 1, 1))
JANUARY: Final = (kst(2026, 1, 1), kst(2026, 2, 1))
PAYDAY: Final = 25
DAYS_OF_JANUARY: Final = 31


@exercise(
    "3.5",
    title="Payday, and the end of the month",
    variable="payroll",
    hints=(
        "Section 3.7 has both: what moves a fire, and what counts the business days of a month.",
        "The transfer is a day of the month that is moved. The closing has no date: it is a place.",
        'The transfer goes back: `otherwise="previous"`. Places count from the end below zero.',
    ),
    solution="""
        payroll = {
            "transfer": on_business_days(cron(day=25, hour=10), otherwise="previous"),
            "closing": on_business_days(cron(hour=18), nth_of_month=-1),
        }
    """,
    link="https://github.com/vacanza/holidays",
)
def payday_and_the_end_of_the_month(payroll: Any) -> Right:
    """Write triggers for a payday or the business day before, and a month's last business day."""
    expected = {
        "transfer": on_business_days(cron(day=PAYDAY, hour=10), otherwise="previous"),
        "closing": on_business_days(cron(hour=18), nth_of_month=-1),
    }
    if not isinstance(payroll, Mapping) or set(payroll) != set(expected):
        raise NotYetError(
            f"`payroll` is {shown(payroll)}. Expected a dictionary of two triggers, "
            '`"transfer"` and `"closing"`.'
        )
    triggers = {name: require_trigger(payroll[name], f'payroll["{name}"]') for name in expected}
    fires = {name: _fires(name, trigger) for name, trigger in triggers.items()}
    pictures = tuple(year_picture(times, 2026) for times in fires.values())
    for name, picture in zip(expected, pictures, strict=True):
        _compare(name, fires[name], fire_times(expected[name], *YEARS), picture)
    moved = [time for time in fires["transfer"] if time.year == 2026 and time.day != PAYDAY]  # noqa: PLR2004
    return Right(
        f"Each has twelve fires a year. In 2026 the money comes early in {len(moved)} months, and "
        "in none of them late.",
        pictures,
    )


def _fires(name: str, trigger: BaseTrigger) -> pd.DatetimeIndex:
    january = len(fire_times(trigger, *JANUARY))
    if january > DAYS_OF_JANUARY:  # three years of it could be millions
        raise NotYetError(f'`"{name}"` fires {january:,} times in January 2026 alone.')
    return fire_times(trigger, *YEARS).tz_convert(KST)


def _compare(
    name: str, mine: pd.DatetimeIndex, expected: pd.DatetimeIndex, picture: Picture
) -> None:
    """Refuse fires on days off, other fires that are too many, and months without."""
    refuse = partial(NotYetError, pictures=(picture,))
    calendar = BusinessDays()
    for fire in mine:
        if not calendar.is_business_day(fire.date()):
            raise refuse(f'`"{name}"` fires on {_day(fire)} KST, when banks are closed.')
        if name == "transfer" and fire.day > PAYDAY:
            raise refuse(f'`"{name}"` fires on {_day(fire)} KST: the money comes after the 25th.')
    for fire in mine.difference(expected):
        raise refuse(
            f'`"{name}"` fires {len(mine):,} times in three years. It should not fire on '
            f"{_day(fire)} KST."
        )
    if without := sorted({(fire.year, fire.month) for fire in expected.difference(mine)}):
        month = f"{kst(*without[0], 1):%B %Y}"
        raise refuse(f'`"{name}"` does not fire in {month}, nor in {len(without) - 1} more months.')


def _day(fire: pd.Timestamp) -> str:
    return f"{fire:%a} {fire.day} {fire:%b} {fire.year} at {fire:%H:%M}"
