"""Exercise 13.3: The trigger that repairs it."""

from __future__ import annotations

from typing import Any, Final

from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.exercise import Right, exercise
from kst_workbook.exercises.judging import compare_fires, compare_years, require_trigger

DAYS: Final = (kst(2026, 5, 9, 20), kst(2026, 5, 11, 20))


@exercise(
    "13.3",
    title="The trigger that repairs it",
    variable="trigger",
    hints=(
        "13.3 repairs the interval of `hourly-token`. From what does it count then?",
        "`every(...)` counts from a Korean midnight. A `cron` of four hours does it, too.",
    ),
    solution="""
        trigger = every(hours=6)
    """,
    link="https://apscheduler.readthedocs.io/en/3.x/modules/triggers/interval.html",
)
def the_repaired_trigger(answer: Any) -> Right:
    """Write a trigger for the hidden service that keeps its times over restarts."""
    trigger = require_trigger(answer, "trigger")
    expected = cron(hour="0,6,12,18")
    drawn = compare_fires(trigger, expected, *DAYS)
    compare_years(trigger, expected)
    return Right(
        "It is due at the same times whenever its process starts, so a deployment moves nothing. "
        "Your test of 13.2 passes on it.",
        drawn[:1],
    )
