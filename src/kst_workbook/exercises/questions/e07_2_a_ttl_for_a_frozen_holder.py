"""Exercise 7.2: a time to live for a frozen holder."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from kst_scheduler.simulation import Crash, Freeze, Node
from kst_scheduler.timezone import kst
from kst_workbook.exercises.crawl_nights import Night, Played
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import number_of, pictures, shown
from kst_workbook.exercises.questions.locked_crawls import under_a_lock

LEASES: Final = "https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html"
FROZEN: Final = Night(
    "A freezes",
    incidents=(Freeze("A", kst(2026, 5, 10, 3, 10), timedelta(hours=2, minutes=5)),),
    end=kst(2026, 5, 10, 8),
)
DEAD: Final = Night(
    "A dies", incidents=(Crash("A", kst(2026, 5, 10, 3, 10)),), end=kst(2026, 5, 10, 8)
)
LAST_DUE: Final = 7
MARGIN: Final = 60
"""Seconds by which B's clock is wrong on two more nights: no choice may hang on a moment."""
SLOW: Final = replace(
    FROZEN, title="A freezes, and B's clock is a minute late", nodes=(Node("A"), Node("B", -MARGIN))
)
FAST: Final = replace(
    DEAD,
    title="A dies, and B, which starts at 03:05, has a clock that is a minute ahead",
    nodes=(Node("A"), Node("B", MARGIN)),
    incidents=(*DEAD.incidents, Crash("B", kst(2026, 5, 10, 2, 50), timedelta(minutes=15))),
)
MAX_SECONDS: Final = 366 * 86_400
RIGHT: Final = 3 * 3600.0


@exercise(
    "7.2",
    title="A time to live for a frozen holder",
    variable="ttl",
    hints=(
        "When does B ask for the lock? It must not be free then, as long as A may wake and write.",
        "After A has died nobody gives its lock back. By 07:00 it must have run out.",
        "Count both from 03:00, when A takes the lock, and write seconds.",
    ),
    solution="""
        ttl = 3 * 3600
    """,
    link=LEASES,
)
def a_ttl_for_a_frozen_holder(ttl: Any) -> Right:
    """Choose a time to live that outlasts a freeze, and that a dead holder does not keep long."""
    seconds = _seconds(ttl)
    for night in (FROZEN, SLOW):
        _refuse_old_pages(night, seconds)
    for night in (DEAD, FAST):
        _refuse_a_dead_holder(night, seconds)
    frozen = _refused(FROZEN, seconds)
    return Right(
        f"With {seconds:,.0f} s the lock is valid until {_over(seconds):%H:%M}. At 05:00 B is sent "
        "away, so A's last pages hurt nobody; and at 07:00 B crawls, though A is dead. The price: "
        "in both nights nobody crawls at 05:00. And a longer freeze breaks it again.",
        pictures(frozen.result, frozen.result)[:1],
    )


def _refuse_old_pages(night: Night, seconds: float) -> None:
    frozen = _refused(night, seconds)
    if frozen.work.most_at_once() > 1:
        late = frozen.crawls[1]
        raise NotYetError(
            f"The night: {night.title}. With {seconds:,.0f} s, A's lock expires at "
            f"{_over(seconds):%H:%M}. {late}, and from 05:15 on A writes beside it, "
            f"{_old_pages(frozen)} old pages over new ones.",
            pictures(frozen.result, _refused(night, RIGHT).result),
        )


def _refuse_a_dead_holder(night: Night, seconds: float) -> None:
    dead = _refused(night, seconds)
    if dead.crawls[-1].due.hour < LAST_DUE:
        raise NotYetError(
            f"The night: {night.title}. With {seconds:,.0f} s, its lock is valid until "
            f"{_over(seconds):%a %H:%M}. B is locked out at 05:00 and at 07:00.",
            pictures(dead.result, _refused(night, RIGHT).result),
        )


def _seconds(ttl: Any) -> float:
    seconds = number_of(ttl)
    if seconds is None:
        raise NotYetError(f"`ttl` is {shown(ttl)}. Expected a number of seconds.")
    if not 1 <= seconds <= MAX_SECONDS:
        raise NotYetError(f"`ttl` is {shown(ttl)}. Expected seconds, from 1 to a year.")
    return seconds


def _refused(night: Night, seconds: float) -> Played:
    return under_a_lock(night, "3,5,7", timeout=seconds, blocking=False)


def _over(seconds: float) -> datetime:
    return kst(2026, 5, 10, 3) + timedelta(seconds=seconds)


def _old_pages(frozen: Played) -> int:
    """Count the pages of 03:00 that were written after those of 05:00 had begun."""
    pages, late = frozen.work.table(), frozen.crawls[1]
    return int(((pages["scheduled_at"] < late.due) & (pages["at"] > late.begin)).sum())
