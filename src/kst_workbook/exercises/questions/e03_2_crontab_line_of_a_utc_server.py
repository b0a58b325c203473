"""Exercise 3.2: a crontab line from a UTC server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import TimezoneError
from kst_scheduler.fire_times import fire_times
from kst_scheduler.scheduler.guards import check_trigger
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    compare_fires,
    compare_years,
    require_trigger,
)
from kst_workbook.exercises.questions.apscheduler_docs import CRON_TRIGGER

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

WEEK: Final = (kst(2026, 5, 4), kst(2026, 5, 11))


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
    link=CRON_TRIGGER,
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
