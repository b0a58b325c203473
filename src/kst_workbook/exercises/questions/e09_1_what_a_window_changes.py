"""Exercise 9.1: Five nights with a catch-up window."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

import pandas as pd

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.simulation import Crash, Freeze, Incident, simulate
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.crawl_nights import at_once
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import (
    mapping_of,
    pictures,
    shown,
)

TASKS: Final = "https://docs.python.org/3/library/asyncio-task.html#task-cancellation"
SPAN: Final = (kst(2026, 5, 10, 2, 45), kst(2026, 5, 10, 3, 45))
TEN_TO: Final = kst(2026, 5, 10, 2, 50)
FIVE_PAST: Final = kst(2026, 5, 10, 3, 5)


NIGHTS: Final[dict[str, tuple[Incident, ...]]] = {
    "down at 03:00": (Crash("A", TEN_TO, timedelta(minutes=20)),),
    "frozen at 03:00": (Freeze("A", TEN_TO, timedelta(minutes=20)),),
    "killed at 03:05": (Crash("A", FIVE_PAST, timedelta(minutes=1)),),
    "quiet": (),
    "stopped at 03:05": (),
}
STATUSES: Final = ("ok", "error", "missed", "skipped", "cancelled", "running")


@exercise(
    "9.1",
    title="Five nights with a catch-up window",
    variable="statuses",
    hints=(
        "A run that was missed, or that lost its lease, may now begin up to an hour late.",
        "At 03:06 the killed process is back. When is the lease of its row over?",
        "A cancelled run has its row, and that is final: nobody lost it.",
    ),
    solution="""
        statuses = {
            "down at 03:00": "ok",
            "frozen at 03:00": "ok",
            "killed at 03:05": "ok",
            "quiet": "ok",
            "stopped at 03:05": "cancelled",
        }
    """,
    link=TASKS,
)
def what_a_window_changes(statuses: Any) -> Right:
    """Predict the rows of five nights when a run may be caught up for an hour."""
    said = mapping_of(statuses)
    if said is None or set(said) != set(NIGHTS):
        raise NotYetError(
            f"`statuses` is {shown(statuses)}. Give each of the five nights a status."
        )
    for name, status in said.items():
        if not isinstance(status, str) or status not in STATUSES:
            words = ", ".join(map(repr, STATUSES))
            raise NotYetError(f"{name}: a row can be {words}. You say {shown(status)}.")
    nights = {name: _night(name, hours=1) for name in NIGHTS}
    wrong = [name for name, (status, _) in nights.items() if said[name] != status]
    if wrong:
        name, status = wrong[0], said[wrong[0]]
        without, _ = _night(name, hours=0)
        so_far = f" Without a catch-up window it is `{status}`." if without == status else ""
        raise NotYetError(f"{name}: the row does not end as `{status}`.{so_far}")
    lanes = pd.concat(runs.assign(node="", job_id=name) for name, (_, runs) in nights.items())
    return Right(
        "Three runs are made up for: two that never began, and one that was killed, as attempt 2. "
        "The one that a deployment cut is not: it ended by itself, and its row is final.",
        pictures(lanes, lanes, start=SPAN[0], end=SPAN[1])[:1],
    )


def _night(name: str, hours: int) -> tuple[str, pd.DataFrame]:
    """Return the status of the crawl's row after a night, and its history."""
    ledger = MemoryLedger()
    window = timedelta(hours=hours) or None

    async def crawl_nps() -> int:
        await asyncio.sleep(20 * 60)
        return 250

    def register(scheduler: Any) -> None:
        job = once(ledger, catch_up=window, instance="A")(crawl_nps)
        scheduler.add_job(job, cron(hour=3), id="nps")
        Reconciler(scheduler, ledger).start()
        if name.startswith("stopped"):
            scheduler.add_job(scheduler.shutdown, "date", run_date=FIVE_PAST, id="deployment")

    simulate(register, *SPAN, incidents=NIGHTS[name])
    (row,) = at_once(ledger.rows())
    return row.status, at_once(ledger.history())
