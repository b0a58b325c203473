"""Exercise 7.1: Three replicas, and a lock that waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from kst_workbook.exercises.crawl_nights import Night, listed, require_moments
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import moment, pictures
from kst_workbook.exercises.questions.locked_crawls import under_a_lock

LOCK: Final = "https://redis.readthedocs.io/en/stable/lock.html"
QUIET: Final = Night("three replicas", nodes=3)
NEAR: Final = timedelta(minutes=2)
"""By so much a prediction may be wrong: a lock that waits asks once a minute."""


@exercise(
    "7.1",
    title="Three replicas, and a lock that waits",
    variable="began",
    hints=(
        "Who waits for a lock asks for it again and again. What does he do once he has it?",
        "`ttl=3600` is longer than a crawl, so each gives the lock back when it is done.",
        "A crawl takes 20 minutes. There are three of them.",
    ),
    solution="""
        began = [kst(2026, 5, 10, 3), kst(2026, 5, 10, 3, 20), kst(2026, 5, 10, 3, 40)]
    """,
    link=LOCK,
)
def three_replicas_wait(began: Any) -> Right:
    """Predict when crawls begin on three replicas whose lock waits."""
    mine = require_moments(began, "`began`")
    night = under_a_lock(QUIET, "3", timeout=3600, sleep=60)
    theirs = [crawl.begin for crawl in night.crawls]
    far = [at for at in mine if all(abs(at - begin) > NEAR for begin in theirs)]
    if len(mine) != len(theirs):
        raise NotYetError(
            f"`began` is {listed(mine)}. Crawls begin "
            f"{'more' if len(mine) < len(theirs) else 'less'} often than that."
        )
    if far:
        raise NotYetError(f"You say that a crawl begins at {moment(far[0])}. None does.")
    if any(abs(at - begin) > NEAR for at, begin in zip(mine, theirs, strict=True)):
        raise NotYetError(f"`began` is {listed(mine)}: two of these are the same crawl.")
    return Right(
        f"{', then '.join(map(str, night.crawls))}. A lock that waits puts the replicas in a line, "
        "and each does all the work.",
        pictures(night.result, night.result)[:1],
    )
