"""Exercise 8.3: Lose no run to a restart."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.simulation import Crash
from kst_scheduler.timezone import kst
from kst_workbook.exercises.crawl_nights import Night, Played, at_once
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import moment, pictures, require_function
from kst_workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from kst_scheduler.ledger import Ledger, LedgerRow

DECORATORS: Final = "https://docs.python.org/3/glossary.html#term-decorator"
DUE: Final = kst(2026, 5, 10, 3)
WITHIN: Final = timedelta(hours=1)


def _both_down(minutes: float) -> tuple[Crash, ...]:
    restart = timedelta(minutes=minutes)
    return tuple(Crash(node, kst(2026, 5, 10, 2, 50), restart) for node in "AB")


QUIET: Final = Night("a quiet one")
SHORT: Final = Night("both replicas down from 02:50 to 03:20", incidents=_both_down(30))
LONG: Final = Night("both replicas down from 02:50 to 04:40", incidents=_both_down(110))
NEARLY: Final = Night("both replicas down from 02:50 to 03:50", incidents=_both_down(60))
AT_LAST: Final = Night("both replicas down from 02:50 to 03:59:30", incidents=_both_down(69.5))
TOO_LATE: Final = Night("both replicas down from 02:50 to 04:10", incidents=_both_down(80))
CUT: Final = Night("A dead from 03:10 on", incidents=(Crash("A", kst(2026, 5, 10, 3, 10)),))
MAX_RUNS: Final = {QUIET: 1, SHORT: 1, NEARLY: 1, AT_LAST: 1, TOO_LATE: 0, LONG: 0, CUT: 2}
"""How many runs crawl in each night."""


@exercise(
    "8.3",
    title="Lose no run to a restart",
    variable="register",
    hints=(
        "Section 8.8 has all the parts. What knows which runs took place?",
        "`once(ledger, catch_up=...)` says for how long a missed run may still be made.",
        "A `Reconciler` looks for what is missing. It has to be started.",
    ),
    solution="""
        def register(scheduler, crawl, ledger):
            job = once(ledger, catch_up=timedelta(hours=1))(crawl)
            scheduler.add_job(job, "cron", hour=3, id="daily-nps-crawl")
            Reconciler(scheduler, ledger).start()
    """,
    link=DECORATORS,
)
def lose_no_run(register: Any) -> Right:
    """Register a crawl that survives restarts, and is made up for within an hour."""
    require_function(register, "register", "scheduler", "crawl", "ledger")
    with each_replica_for_itself(register):
        played = {night: _play(register, night) for night in MAX_RUNS}
    for night, (mine, row) in played.items():
        if fault := _fault(night, mine, row):
            theirs, _ = _play(_as_it_should_be, night)
            shown_below = pictures(mine.result, theirs.result)
            raise NotYetError(f"The night: {night.title}. {fault}", shown_below)
    mine, _ = played[SHORT]
    return Right(
        "The jobs stand in the code, and are added at each start. What ran stands in the ledger. "
        "So at 03:20 one of the two makes up for 03:00, and at 04:40 the run is written as missed.",
        pictures(mine.result, mine.result)[:1],
    )


def _play(register: Callable[..., object], night: Night) -> tuple[Played, LedgerRow | None]:
    """Play a night, and return the row of the run that was due."""
    ledger = MemoryLedger()
    played = night.play(lambda scheduler, crawl: register(scheduler, crawl, ledger))
    rows = [row for row in at_once(ledger.rows()) if row.scheduled_at == DUE]
    return played, rows[0] if rows else None


def _as_it_should_be(scheduler: Any, crawl: Any, ledger: Ledger) -> None:
    job = once(ledger, catch_up=timedelta(hours=1))(crawl)
    scheduler.add_job(job, "cron", hour=3, id="daily-nps-crawl")
    Reconciler(scheduler, ledger).start()


def _fault(night: Night, mine: Played, row: LedgerRow | None) -> str | None:
    due = _crawl_runs(mine, row)["scheduled_at"].drop_duplicates().tolist()
    crawls = [f"{crawl.node} at {crawl.begin:%H:%M}" for crawl in mine.crawls]
    if due != [DUE]:
        return f"A run is due at {moment(due[-1])}." if due else "No job is due."
    if night is CUT and len(crawls) == 1:
        return f"B does not go on. {_said(row)}"
    most = MAX_RUNS[night]
    if len(crawls) > most:
        what = ", ".join(crawls)
        return f"Crawls: {what}." if most else f"{what}, more than an hour late."
    if len(crawls) < most and not _looked_too_late(night, row):
        return f"Nobody crawls. {_said(row)}"
    if row is None and not crawls:
        return "Nobody crawls, which is right, and the ledger has no row that says so."
    return None


def _looked_too_late(night: Night, row: LedgerRow | None) -> bool:
    """Tell whether a job that looks once a minute came by only when the hour was over."""
    written = row.written_at if row else None
    return night is AT_LAST and written is not None and written >= DUE + WITHIN


def _crawl_runs(mine: Played, row: LedgerRow | None) -> pd.DataFrame:
    """Return the runs of the crawl: a job that looks for missed runs is none."""
    if mine.crawls or row is None:
        return mine.crawl_runs
    runs = mine.result.runs
    return runs[runs["job_id"] == row.source]


def _said(row: LedgerRow | None) -> str:
    if row is None:
        return "The ledger has no row of 03:00: nobody has looked for it."
    return f"The ledger says: {row.status}{f' ({row.error})' if row.error else ''}."
