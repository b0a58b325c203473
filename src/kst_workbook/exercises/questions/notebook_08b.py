"""Exercises of notebook 08: jobs in the code, and what keeps them from being lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.simulation import Crash, current_node, simulate
from kst_scheduler.simulation.work import WorkLog
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import crontab
from kst_workbook.exercises.crawl_nights import Night, Played, at_once
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import moment, pictures, require_function
from kst_workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kst_scheduler.ledger import Ledger, LedgerRow
    from kst_scheduler.simulation import SimulationResult

DECORATORS: Final = "https://docs.python.org/3/glossary.html#term-decorator"
CRONTAB: Final = "https://man7.org/linux/man-pages/man5/crontab.5.html"
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
        "Section 8.9 has all the parts. What knows which runs took place?",
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


Report = tuple[str, pd.Timestamp]
Choices = tuple[tuple[str, str], ...]
DAYS: Final = (kst(2026, 5, 31, 12), kst(2026, 6, 2, 12))
CHOICES: Final[Choices] = (
    ("hanbit", "0 9 * * 1"),
    ("moa", "30 8 * * 1-5"),
    ("hanbit", "0 18 1 * *"),
)
"""What customers chose: their name, and a crontab line. 1 June 2026 is a Monday."""
OTHER_CHOICES: Final = (("saebyeok", "15 7 * * *"), ("hanbit", "0 9 * * 2"), ("moa", "0 9 * * 2"))
"""Another table, as it may be after the next start."""
TABLES: Final[dict[str, Mapping[str, Choices]]] = {
    "": {"A": CHOICES, "B": CHOICES},
    "When customers have chosen otherwise: ": {"A": OTHER_CHOICES, "B": OTHER_CHOICES},
    "When B gets the table in another order: ": {"A": CHOICES, "B": CHOICES[::-1]},
}
"""What each replica reads, by how messages begin. A query without ORDER BY has any order."""


@exercise(
    "8.4",
    title="Jobs that users chose, without a store",
    variable="add_reports",
    hints=(
        "Each choice is a job. A customer can have two, so what can the job's id be?",
        "`crontab(line)` of `kst_scheduler` reads a line as cron does, in KST.",
        "`report` takes the customer: `scheduler.add_job(..., args=[customer])`.",
    ),
    solution="""
        from kst_scheduler import crontab


        def add_reports(scheduler, choices, report, ledger):
            job = once(ledger)(report)
            for customer, line in choices:
                scheduler.add_job(job, crontab(line), args=[customer], id=f"{customer} {line}")
    """,
    link=CRONTAB,
)
def reports_that_users_chose(add_reports: Any) -> Right:
    """Add a job for each choice in a table, so that two replicas make each report once."""
    require_function(add_reports, "add_reports", "scheduler", "choices", "report", "ledger")
    with each_replica_for_itself(add_reports):
        played = {when: _reports(add_reports, tables) for when, tables in TABLES.items()}
    for when, (mine, made) in played.items():
        theirs, asked_for = _reports(_add_reports, TABLES[when])
        if fault := _wrong_report(mine, made, asked_for):
            raise NotYetError(f"{when}{fault}", pictures(mine, theirs))
    result, _ = played[""]
    return Right(
        "Four reports, each made once. What users choose is data in your own table, and no pickle: "
        "names can change, two replicas are no trouble, and a restart adds the jobs again.",
        pictures(result, result)[:1],
    )


def _reports(
    add_reports: Callable[..., object], tables: Mapping[str, Choices]
) -> tuple[SimulationResult, Counter[Report]]:
    """Simulate two days on two replicas, and count the reports that are made."""
    work, ledger = WorkLog(), MemoryLedger()

    async def report(customer: str) -> None:
        work.note(customer)
        await asyncio.sleep(60)

    def register(scheduler: Any) -> None:
        add_reports(scheduler, list(tables[current_node()]), report, ledger)

    result = simulate(register, *DAYS, nodes=2)
    pieces = work.table()
    return work.begun(result), Counter(zip(pieces["piece"], pieces["at"], strict=True))


def _add_reports(scheduler: Any, choices: Any, report: Any, ledger: Ledger) -> None:
    for customer, line in choices:
        job = once(ledger)(report)
        scheduler.add_job(job, crontab(line), args=[customer], id=f"{customer} {line}")


def _wrong_report(
    result: SimulationResult, made: Counter[Report], asked_for: Counter[Report]
) -> str | None:
    runs = result.runs.query("status == 'error'")[["scheduled_at", "detail"]]
    for due, detail in runs.itertuples(index=False, name=None):
        return f"The run of {moment(due)} ended as an error: `{detail}`."
    for customer, at in sorted(made.keys() - asked_for.keys(), key=itemgetter(1, 0)):
        return f"At {moment(at)} a report for {customer} is made, which nobody chose."
    for customer, at in sorted(asked_for.keys() - made.keys(), key=itemgetter(1, 0)):
        other = any(customer == name for name, _ in made)
        return (
            f"At {moment(at)} no report for {customer} is made"
            f"{', though another of theirs is' if other else ''}."
        )
    for (customer, at), times in made.items():
        if times > 1:
            return f"At {moment(at)} the report for {customer} is made {times} times."
    return None
