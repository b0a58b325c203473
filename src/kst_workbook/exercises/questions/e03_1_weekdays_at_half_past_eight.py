"""Exercise 3.1: 08:30 on weekdays."""

from __future__ import annotations

from typing import Any, Final

from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.exercise import Right, exercise
from kst_workbook.exercises.judging import (
    compare_fires,
    compare_years,
    require_trigger,
)
from kst_workbook.exercises.questions.apscheduler_docs import CRON_TRIGGER

WEEK: Final = (kst(2026, 5, 4), kst(2026, 5, 11))


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
    link=CRON_TRIGGER,
)
def weekdays_at_half_past_eight(trigger: Any) -> Right:
    """Write a trigger for 08:30 in Korea, from Monday to Friday."""
    trigger = require_trigger(trigger, "trigger")
    expected = cron(day_of_week="mon-fri", hour=8, minute=30)
    drawn = compare_fires(trigger, expected, *WEEK)
    compare_years(trigger, expected)
    return Right("Five fires a week, at 08:30 in Korea whatever the zone of the host.", drawn[:1])
