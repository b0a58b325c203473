"""Exercise 7.4: Once per occurrence, without Redis."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.simulation import Crash, Freeze, Node
from kst_scheduler.timezone import kst
from kst_workbook.exercises.crawl_nights import Night, Played, at_once
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import pictures, require_function
from kst_workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

UNIQUE: Final = "https://www.postgresql.org/docs/current/indexes-unique.html"
DUE: Final = (kst(2026, 5, 10, 3), kst(2026, 5, 10, 4))
NIGHTS: Final = (
    Night("three replicas in time", nodes=3),
    Night("a crawl of a minute, and B's clock is 5 minutes late", 1, (Node("A"), Node("B", -300))),
    Night("A dies at 03:10", nodes=3, incidents=(Crash("A", kst(2026, 5, 10, 3, 10)),)),
    Night(
        "A freezes from 03:10 to 04:10",
        incidents=(Freeze("A", kst(2026, 5, 10, 3, 10), timedelta(minutes=60)),),
    ),
)


@exercise(
    "7.4",
    title="Once per occurrence, without Redis",
    variable="register",
    hints=(
        "A lock forgets a run as soon as it has ended. Section 7.8 shows what remembers it.",
        "`once(ledger)` returns a decorator. What it makes of `crawl` is the job.",
        'The job is due at `hour="3,4"`. The default lease is short enough.',
    ),
    solution="""
        def register(scheduler, crawl, ledger):
            job = once(ledger)(crawl)
            scheduler.add_job(job, "cron", hour="3,4", id="daily-nps-crawl")
    """,
    link=UNIQUE,
)
def each_occurrence_once(register: Any) -> Right:
    """Register a crawl that each night runs once, whichever replica runs it."""
    require_function(register, "register", "scheduler", "crawl", "ledger")
    with each_replica_for_itself(register):
        played = [_play(register, night) for night in NIGHTS]
    for night, (mine, rows) in zip(NIGHTS, played, strict=True):
        fault = _unlike_the_schedule(mine) or _not_once(mine)
        if fault is None and rows < len(DUE):
            fault = f"The ledger that `register` is given holds {rows} rows of the two crawls."
        if fault:
            theirs, _ = _play(_as_it_should_be, night)
            raise NotYetError(
                f"The night: {night.title}. {fault}", pictures(mine.result, theirs.result)
            )
    last, _ = played[-1]
    return Right(
        "In four nights each occurrence has one run, and no two write at once. The picture is of "
        "the last night: when A wakes its row is closed, so it is stopped before it writes again.",
        pictures(last.result, last.result)[:1],
    )


def _play(register: Callable[..., object], night: Night) -> tuple[Played, int]:
    """Play a night, and count the occurrences that have a row in the ledger."""
    ledger = MemoryLedger()
    played = night.play(lambda scheduler, crawl: register(scheduler, crawl, ledger))
    return played, len(at_once(ledger.rows()))


def _unlike_the_schedule(mine: Played) -> str | None:
    due = mine.crawl_runs["scheduled_at"].drop_duplicates().tolist()
    if not due:
        return "No job is due: does `register` add it to the scheduler?"
    if wrong := [at for at in due if at not in DUE]:
        return f"A job is due at {wrong[0]:%H:%M} KST. It should be at 03:00 and at 04:00."
    if len(due) < len(DUE):
        return f"The job is due at {due[0]:%H:%M} alone. It should be at 03:00 and at 04:00."
    return None


def _not_once(mine: Played) -> str | None:
    for due in DUE:
        crawls = [crawl for crawl in mine.crawls if crawl.due == due]
        if not crawls:
            return f"Nobody crawls for {due:%H:%M}. {_why(mine, due)}"
        if len(crawls) - _cut(mine, due) > 1:
            nodes = [f"{crawl.node} at {crawl.begin:%H:%M}" for crawl in crawls]
            return f"The crawl of {due:%H:%M} runs {len(crawls)} times: {', '.join(nodes)}."
    if mine.work.most_at_once() > 1:
        first, second = mine.crawls[:2]
        return f"{second}, while {first.node} writes until {first.last_page:%H:%M}: two at once."
    return None


def _cut(mine: Played, due: datetime) -> int:
    """Count the runs that were cut off, and so may be made up for."""
    runs = mine.crawl_runs
    return int(((runs["scheduled_at"] == due) & (runs["status"] == "cancelled")).sum())


def _why(mine: Played, due: datetime) -> str:
    runs = mine.crawl_runs
    b = runs[(runs["scheduled_at"] == due) & (runs["node"] == "B")].iloc[0]
    if "was running" in b["detail"]:
        return "The lease of the crawl of 03:00 has not ended, though A is dead."
    return f"On B the run ended as {b['status']}{': ' if b['detail'] else ''}{b['detail']}."


def _as_it_should_be(scheduler: Any, crawl: Callable[[], Awaitable[int]], ledger: Any) -> None:
    scheduler.add_job(once(ledger)(crawl), "cron", hour="3,4", id="daily-nps-crawl")
