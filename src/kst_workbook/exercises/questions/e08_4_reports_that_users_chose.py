"""Exercise 8.4: Jobs that users chose, without a store."""

from __future__ import annotations

import asyncio
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.simulation import current_node, simulate
from kst_scheduler.simulation.work import WorkLog
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import crontab
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import moment, pictures, require_function
from kst_workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kst_scheduler.ledger import Ledger
    from kst_scheduler.simulation import SimulationResult

CRONTAB: Final = "https://man7.org/linux/man-pages/man5/crontab.5.html"
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
    return work.with_work_starts(result), Counter(zip(pieces["piece"], pieces["at"], strict=True))


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
