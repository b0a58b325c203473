"""Exercise 9.3: what did not run?."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.fire_times import fire_times
from kst_scheduler.ledger.history import history_table
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.crawl_nights import require_moments
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    fires_pictures,
    moment,
    require_function,
)

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

    from kst_workbook.exercises.exercise import Picture

DIFFERENCE: Final = "https://pandas.pydata.org/docs/reference/api/pandas.Index.difference.html"
TRIGGER: Final = cron(hour="3,15")
WEEK: Final = (kst(2026, 5, 6, 3), kst(2026, 5, 9, 3))


def _row(due: datetime, status: str, trigger: str = "schedule", late: int = 0) -> tuple[Any, ...]:
    begin = None if status == "missed" else due + timedelta(minutes=late)
    end = None if begin is None or status == "running" else begin + timedelta(minutes=20)
    return ("A", "nps", due, begin, end, status, "", int(begin is not None), None, trigger, None)


HISTORY: Final = history_table(
    [
        _row(kst(2026, 5, 5, 15), "ok"),
        _row(kst(2026, 5, 6, 3), "missed"),
        _row(kst(2026, 5, 6, 15), "ok", late=4),
        _row(kst(2026, 5, 7, 3), "error"),
        _row(kst(2026, 5, 7, 9, 30), "ok", "manual"),
        # 7 May 15:00 has no row
        _row(kst(2026, 5, 8, 3), "error"),
        _row(kst(2026, 5, 8, 3), "ok", late=30),  # tried again
        _row(kst(2026, 5, 8, 15), "running"),
        _row(kst(2026, 5, 9, 3), "missed"),
    ]
)
"""What the reader's function gets; they do not see it."""
OTHER_TRIGGER: Final = cron(day_of_week="mon-fri", hour=9)
OTHER_WEEK: Final = (kst(2026, 6, 1), kst(2026, 6, 5))
OTHER_HISTORY: Final = history_table(
    [_row(kst(2026, 6, 1, 9), "ok"), _row(kst(2026, 6, 2, 9), "missed")]
)
"""Another job."""


@exercise(
    "9.3",
    title="What did not run?",
    variable="missing",
    hints=(
        "A run can be missing in two ways: its row is not ok, or there is no row.",
        "`fire_times(trigger, start, end)` says what was due, whatever the rows say.",
        "An index has `difference`: what was due, without what ended ok.",
    ),
    solution="""
        def missing(history, trigger, start, end):
            ok = history[history["status"] == "ok"]["scheduled_at"]
            return fire_times(trigger, start, end).difference(pd.DatetimeIndex(ok))
    """,
    link=DIFFERENCE,
)
def what_did_not_run(missing: Any) -> Right:
    """Return the times at which a job was due, and of which no run has ended ok."""
    require_function(missing, "missing", "history", "trigger", "start", "end")
    drawn = _judge(missing, HISTORY, TRIGGER, WEEK)
    try:
        _judge(missing, OTHER_HISTORY, OTHER_TRIGGER, OTHER_WEEK)
    except NotYetError as error:
        raise NotYetError(
            f"For one job it is right; another is due on weekdays at 09:00. {error}", error.pictures
        ) from error
    return Right(
        "4 of the 6 that were due. The schedule says what should have been, and the rows what was: "
        "only both together say what did not run.",
        drawn[:1],
    )


def _judge(
    missing: Any, history: pd.DataFrame, trigger: BaseTrigger, week: tuple[datetime, datetime]
) -> tuple[Picture, ...]:
    answer = missing(history.copy(), trigger, *week)
    moments = require_moments(answer, "What `missing` returns")
    mine = pd.DatetimeIndex(moments, tz="Asia/Seoul")
    due = fire_times(trigger, *week)
    ok = history[history["status"] == "ok"]["scheduled_at"]
    theirs = due.difference(pd.DatetimeIndex(ok))
    drawn = fires_pictures(mine, theirs, week[0], week[1] + timedelta(hours=1))
    for at in mine.difference(theirs):
        why = "its run ended ok" if at in due else "the job was not due then, in this span"
        raise NotYetError(f"Your answer has {moment(at)}, and {why}.", drawn)
    statuses = dict(zip(history["scheduled_at"], history["status"], strict=True))
    for at in theirs.difference(mine):
        why = f"a row that says `{statuses[at]}`" if at in statuses else "no row at all"
        raise NotYetError(f"Your answer lacks {moment(at)}, which has {why}.", drawn)
    return drawn
