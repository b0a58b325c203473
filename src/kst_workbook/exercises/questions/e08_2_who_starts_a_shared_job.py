"""Exercise 8.2: Two schedulers on one store, a bit apart."""

from __future__ import annotations

from typing import Any, Final

from kst_scheduler.simulation import Crash, Node
from kst_scheduler.timezone import kst
from kst_workbook.exercises.exercise import Right, exercise
from kst_workbook.exercises.judging import pictures
from kst_workbook.exercises.questions.apscheduler_docs import USER_GUIDE
from kst_workbook.exercises.questions.store_nights import (
    added_at_each_start,
    compare,
    predicted,
    starts_on,
    store_night,
)

PAIR: Final = (Node("A"), Node("B", 10))
DEATH: Final = Crash("B", kst(2026, 5, 10, 4, 45))


@exercise(
    "8.2",
    title="Two schedulers on one store, a bit apart",
    variable="starts",
    hints=(
        "Each scheduler starts what is due in the store by its own clock. Which clock is first?",
        "When A looks, the store already says that the job is due in an hour.",
        "B starts ten seconds before each full hour, as long as it lives.",
    ),
    solution="""
        starts = {
            "A": [kst(2026, 5, 10, 5), kst(2026, 5, 10, 6)],
            "B": [kst(2026, 5, 10, 2, 59, 50), kst(2026, 5, 10, 3, 59, 50)],
        }
    """,
    link=USER_GUIDE,
)
def who_starts_a_shared_job(starts: Any) -> Right:
    """Predict which of two replicas on one store starts an hourly crawl, and when."""
    mine = predicted(starts, [node.name for node in PAIR])
    night = store_night(added_at_each_start, PAIR, [DEATH])
    for node in PAIR:
        compare(f"On {node.name}", mine[node.name], starts_on(night, node.name))
    return Right(
        "B's clock is ten seconds ahead, so B is always first, and A finds nothing due until B is "
        "dead. It looks well: each run is made once. Two clocks that agree make each one twice, so "
        "the better the clocks, the worse it gets.",
        pictures(night, night)[:1],
    )
