"""Exercise 10.1: One line of a log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import require_function, shown
from kst_workbook.exercises.questions.apscheduler_docs import TROUBLESHOOTING
from kst_workbook.scenes.hidden_services import DUE, LATE, night_log

NIGHTS: Final = (
    (DUE, LATE),
    (kst(2026, 5, 10, 3), timedelta(hours=2, minutes=48, seconds=5)),
    (datetime(2026, 5, 31, 23, 50, tzinfo=UTC), timedelta(minutes=20)),
    (kst(2026, 12, 31, 23, 30), timedelta(minutes=5, milliseconds=500)),
)
"""When the lost run was due, and how late it was when the process continued."""


@exercise(
    "10.1",
    title="One line of a log",
    variable="went_on",
    hints=(
        "The line has a length of time, a zone, and one run time. Which run is that one?",
        "`next run at` is no longer the run that was lost: the scheduler had moved on by then.",
        "The lost run was due a day earlier. `re.search` finds the parts of the line.",
    ),
    solution="""
        import re
        from zoneinfo import ZoneInfo

        ZONES = {"UTC": ZoneInfo("UTC"), "KST": ZoneInfo("Asia/Seoul")}


        def went_on(line):
            following, zone = re.search(r"next run at: (\\S+ \\S+) (\\w+)", line).groups()
            parts = re.search(r"missed by (\\d+):(\\d+):([\\d.]+)", line).groups()
            hours, minutes, seconds = map(float, parts)
            due = datetime.fromisoformat(following).replace(tzinfo=ZONES[zone]) - timedelta(days=1)
            return due + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    """,
    link=TROUBLESHOOTING,
)
def when_it_went_on(answer: Any) -> Right:
    """Read from lines of several nights when the process continued."""
    went_on = require_function(answer, "went_on", "line")
    for due, late in NIGHTS:
        line = _line(due, late)
        returned = went_on(line)
        if not isinstance(returned, datetime):
            raise NotYetError(f"`went_on` returns {shown(returned)}. Expected a moment.")
        if returned.tzinfo is None:
            raise NotYetError(
                f"`went_on` returns {shown(returned)}, without a zone: it could be nine hours off."
            )
        if returned != due + late:
            raise NotYetError(f"{_wrong(returned, due, late)}\n\n{line}")
    return Right(
        "A line that was missed names the run after the one that was lost, in the trigger's zone. "
        "The lost one was due at 18:30 UTC, which is 03:30 in Korea on the next date."
    )


@cache
def _line(due: datetime, late: timedelta) -> str:
    return night_log(due, late)


def _wrong(returned: datetime, due: datetime, late: timedelta) -> str:
    """Say what is wrong with a moment that was read from the line of a night."""
    said = (
        f"Of the line below you say {returned.astimezone(KST):%Y-%m-%d %H:%M:%S} in Korea, "
        f"which is {returned.astimezone(UTC):%Y-%m-%d %H:%M:%S} in UTC."
    )
    if returned >= due + timedelta(hours=23):
        return f"{said} By then the scheduler is at work on the run after the lost one."
    if returned < due:
        return f"{said} At that moment the run that was lost was not yet due."
    return f"{said} The lost run would have been {returned - due} late; the line says {late}."
