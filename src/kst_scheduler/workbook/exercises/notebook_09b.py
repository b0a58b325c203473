"""Exercise of notebook 09: find what did not run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import pandas as pd

from kst_scheduler.fire_times import fire_times
from kst_scheduler.ledger.history import history_table
from kst_scheduler.timezone import kst
from kst_scheduler.triggers import cron
from kst_scheduler.workbook.exercises.crawl_nights import require_moments
from kst_scheduler.workbook.exercises.exercise import NotYetError, Right, exercise
from kst_scheduler.workbook.exercises.judging import (
    fires_picture,
    moment,
    require_function,
)

DIFFERENCE: Final = "https://pandas.pydata.org/docs/reference/api/pandas.Index.difference.html"

TRIGGER: Final = cron(hour="3,15")
WEEK: Final = (kst(2026, 5, 6, 3), kst(2026, 5, 9, 3))


def _row(due: datetime, status: str, trigger: str = "schedule") -> tuple[Any, ...]:
    begin = None if status == "missed" else due
    end = None if begin is None or status == "running" else begin + timedelta(minutes=20)
    return ("A", "nps", due, begin, end, status, "", int(begin is not None), None, trigger, None)


HISTORY: Final = history_table(
    [
        _row(kst(2026, 5, 5, 15), "ok"),
        _row(kst(2026, 5, 6, 3), "missed"),
        _row(kst(2026, 5, 6, 15), "ok"),
        _row(kst(2026, 5, 7, 3), "error"),
        _row(kst(2026, 5, 7, 9, 30), "ok", "manual"),
        # 7 May 15:00 has no row
        _row(kst(2026, 5, 8, 3), "ok"),
        _row(kst(2026, 5, 8, 15), "running"),
        _row(kst(2026, 5, 9, 3), "missed"),
    ]
)
"""What the reader's function gets; they do not see it."""


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
    answer = missing(HISTORY.copy(), TRIGGER, *WEEK)
    moments = require_moments(answer, "What `missing` returns")
    mine = pd.DatetimeIndex(moments, tz="Asia/Seoul")
    due = fire_times(TRIGGER, *WEEK)
    ok = HISTORY[HISTORY["status"] == "ok"]["scheduled_at"]
    theirs = due.difference(pd.DatetimeIndex(ok))
    picture = (fires_picture(mine, theirs, WEEK[0], WEEK[1] + timedelta(hours=1)),)
    for at in mine.difference(theirs):
        why = "its run ended ok" if at in due else "the job was not due then, in this span"
        raise NotYetError(f"Your answer has {moment(at)}, and {why}.", picture)
    statuses = HISTORY.set_index("scheduled_at")["status"]
    for at in theirs.difference(mine):
        why = f"a row that says `{statuses[at]}`" if at in statuses else "no row at all"
        raise NotYetError(f"Your answer lacks {moment(at)}, which has {why}.", picture)
    return Right(
        f"{len(theirs)} of the {len(due)} that were due. The schedule says what should have been, "
        "and the rows what was: only both together say what did not run.",
        picture,
    )
