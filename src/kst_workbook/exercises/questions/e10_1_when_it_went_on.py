"""Exercise 10.1: One line of a log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from kst_scheduler.timezone import KST
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import shown
from kst_workbook.exercises.questions.apscheduler_docs import TROUBLESHOOTING
from kst_workbook.scenes.hidden_services import DUE, LATE


@exercise(
    "10.1",
    title="One line of a log",
    variable="went_on",
    hints=(
        "The line has a length of time, a zone, and one run time. Which run is that one?",
        "`next run at` is no longer the run that was lost: the scheduler had moved on by then.",
        "The lost run was due a day earlier, at that hour. In Korea it was another date by then.",
    ),
    solution="""
        went_on = kst(2026, 5, 11, 3, 36, 40)
    """,
    link=TROUBLESHOOTING,
)
def when_it_went_on(answer: Any) -> Right:
    """Say from the line when the process went on."""
    if not isinstance(answer, datetime):
        raise NotYetError(f"`went_on` is {shown(answer)}. Expected a moment, such as `kst(...)`.")
    if answer.tzinfo is None:
        raise NotYetError(
            f"`went_on` is {shown(answer)}, without a zone: it could be nine hours off. Use kst()."
        )
    said = f"You say {_in_korea(answer)} in Korea, which is {_in_utc(answer)} in UTC."
    if answer >= DUE + timedelta(hours=23):
        raise NotYetError(f"{said} By then the scheduler is at work on the run after the lost one.")
    if answer < DUE:
        raise NotYetError(f"{said} At that moment the run that was lost was not yet due.")
    if answer != DUE + LATE:
        late = answer - DUE
        raise NotYetError(f"{said} The lost run would have been {late} late; the line says {LATE}.")
    return Right(
        "A line that was missed names the run after the one that was lost, in the trigger's zone. "
        "The lost one was due at 18:30 UTC, which is 03:30 in Korea on the next date."
    )


def _in_korea(at: datetime) -> str:
    return f"{at.astimezone(KST):%Y-%m-%d %H:%M:%S}"


def _in_utc(at: datetime) -> str:
    return f"{at.astimezone(DUE.tzinfo):%Y-%m-%d %H:%M:%S}"
