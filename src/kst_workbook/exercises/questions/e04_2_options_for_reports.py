"""Exercise 4.2: Options for reports with a deadline."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.runs.table import lateness
from kst_scheduler.timeline.words import duration
from kst_scheduler.timezone import kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    mapping_of,
    pictures,
    shown,
)
from kst_workbook.exercises.questions.apscheduler_docs import USER_GUIDE
from kst_workbook.exercises.questions.late_reports import hourly

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from kst_scheduler.simulation import SimulationResult

INSTANCES: Final = f"{USER_GUIDE}#limiting-the-number-of-concurrently-executing-instances-of-a-job"
OPTIONS: Final = ("misfire_grace_time", "coalesce", "max_instances")
STALE: Final = timedelta(hours=2, minutes=30)
WOKEN: Final = (kst(2026, 5, 10, 4, 10), kst(2026, 5, 10, 4, 29, 58), kst(2026, 5, 10, 4, 30, 2))
"""When the process of 4.2 wakes: the night that is asked for, and two that lie at the limit."""


@exercise(
    "4.2",
    title="Options for reports with a deadline",
    variable="options",
    hints=(
        "A report can be folded away, come too late, or find no instance: an option for each.",
        "Each report has work of its own, so none may stand for another.",
        "The reports of the night are one batch, from 04:10 to 05:10. What is due meanwhile?",
    ),
    solution="""
        options = {"coalesce": False, "misfire_grace_time": 9000, "max_instances": 2}
    """,
    link=INSTANCES,
)
def options_for_reports(options: Any) -> Right:
    """Choose options that make every report in time, and none too late."""
    chosen = _job_options(options)
    good = {"coalesce": False, "misfire_grace_time": STALE.seconds, "max_instances": 2}
    for woken in WOKEN:
        mine, expected = hourly(woken, 20, **chosen), hourly(woken, 20, **good)
        _require_reports(mine, expected, woken, chosen)
    mine = hourly(WOKEN[0], 20, **chosen)
    why = (
        "01:00 is 3 h 10 min late and is not made. The others of the night are made one after "
        "another, and 05:00 beside the last of them."
    )
    return Right(why, pictures(mine, mine)[:1])


def _job_options(options: Any) -> dict[str, Any]:
    chosen = mapping_of(options)
    if chosen is None:
        raise NotYetError(f"`options` is {shown(options)}. Expected a dict.")
    for name in chosen:
        if name not in OPTIONS:
            known = ", ".join(f"`{known}`" for known in OPTIONS)
            raise NotYetError(f"`{name}` is no option of a job here. There are {known}.")
    return chosen


def _require_reports(
    mine: SimulationResult, expected: SimulationResult, woken: datetime, chosen: dict[str, Any]
) -> None:
    """Raise NotYetError with the first report that goes another way than it should."""
    runs = mine.runs.assign(lateness=lateness)
    differs = runs["status"] != expected.runs["status"]
    if not differs.any():
        return
    stale = runs[(runs["status"] == "ok") & (runs["lateness"] > STALE)]
    folded = runs[runs["status"] == "coalesced"]
    if len(folded):
        hours = " and ".join(f"{at:%H:%M}" for at in folded["scheduled_at"])
        words = f"Your options fold the reports of {hours} into a later one, and nobody makes them."
    elif len(stale):
        words = (
            f"Your options make the report of {stale['scheduled_at'].iloc[0]:%H:%M} although it is "
            f"{_exactly(stale['lateness'].iloc[0])} late, which is of no use to anybody."
        )
    else:
        words = _lost(runs[differs].iloc[0], woken, chosen)
    if woken != WOKEN[0]:
        words = (
            "That night is well, but not one on which the process wakes at "
            f"{woken:%H:%M:%S}. {words}"
        )
    raise NotYetError(words, pictures(mine, expected))


def _exactly(late: pd.Timedelta) -> str:
    """Return a lateness to the second, where it is one of a few seconds more than the limit."""
    return duration(late) if late.components.seconds == 0 else str(late.floor("s").to_pytimedelta())


def _lost(run: pd.Series, woken: datetime, chosen: dict[str, Any]) -> str:
    due = f"{run['scheduled_at']:%H:%M}"
    if run["status"] == "skipped":
        return (
            f"Your options skip the report of {due}: at that time those of the night are still "
            "being made, and they hold the only instance."
        )
    grace = timedelta(seconds=chosen.get("misfire_grace_time", 1) or 0)
    return (
        f"Your options lose the report of {due}. The process wakes at {woken:%H:%M}; with a grace "
        f"time of {duration(grace)} that is too late, and it should not be."
    )
