"""Exercise 10.2: the time to live of a lock."""

from __future__ import annotations

from typing import Any, Final

from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import number_of, pictures, shown
from kst_workbook.scenes.hidden_services import locked_night

REDIS_LOCK: Final = "https://redis.readthedocs.io/en/stable/lock.html"
MAX_TTL: Final = 86_400.0


@exercise(
    "10.2",
    title="The time to live of a lock",
    variable="ttl",
    hints=(
        "Each crawl takes 40 minutes from when it has the lock. When did B have it?",
        "A still crawled when B began: the lock was no longer A's. What took it away?",
        "Subtract 40 minutes from where B ended: so long after 03:00 the lock was free.",
    ),
    solution="""
        ttl = 12 * 60
    """,
    link=REDIS_LOCK,
)
def how_long_the_lock_lives(answer: Any) -> Right:
    """Say from the table after how many seconds the lock expires; judged by such a night."""
    seconds = number_of(answer)
    if seconds is None:
        raise NotYetError(f"`ttl` is {shown(answer)}. Expected a number of seconds.")
    if not 1 <= seconds <= MAX_TTL:
        raise NotYetError(f"`ttl` is {shown(answer)}. Expected a time between a second and a day.")
    mine, theirs = locked_night(seconds), locked_night()
    drawn = pictures(mine, theirs)
    if not mine.runs.equals(theirs.runs):
        ends = ", ".join(
            f"{row.node} at {row.finished_at:%H:%M:%S} ({row.status})"
            for row in mine.runs.itertuples()
        )
        raise NotYetError(
            f"With a lock that lives {seconds:g} seconds the crawls end: {ends}.", drawn
        )
    if seconds % 60:
        raise NotYetError(
            f"With {seconds:g} seconds the crawls end as in the table, because a replica tries "
            "the lock only every ten seconds. Expected a whole number of minutes.",
            drawn,
        )
    return Right(
        (
            "A lock that is not renewed frees itself while its owner works: two crawls ran side by "
            "side, and both learned it only when they gave the lock back."
        ),
        drawn[:1],
    )
