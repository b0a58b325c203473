"""Exercise 12.2: A test of one run among replicas."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.executor import OccurrenceExecutor
from kst_scheduler.simulation import Freeze, Incident, current_node, simulate
from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_scheduler.triggers.spread import spread
from kst_workbook.exercises.exercise import Right, exercise
from kst_workbook.exercises.judging import png, require_function
from kst_workbook.exercises.questions.tried_tests import call_plain, require_catches

if TYPE_CHECKING:
    import pandas as pd

    from kst_workbook.exercises.exercise import Picture

JOB: Final = "crawl-042"
OTHER: Final = "crawl-043"
SPAN: Final = (kst(2026, 5, 10, 2, 55), kst(2026, 5, 10, 4, 15))
SHOWN: Final = (kst(2026, 5, 10, 2, 55), kst(2026, 5, 10, 3, 15))
GRACE: Final = 300


async def crawl_region() -> None:
    """Wait three seconds for a response."""
    await asyncio.sleep(3)


async def fail() -> None:
    """Stand for a crawl whose region is not found."""
    raise LookupError("the region is not found")


@dataclass(frozen=True)
class _Night:
    """A night of three replicas on which the reader's test is tried; the fields of the trigger."""

    what: str
    fields: dict[str, Any] = field(default_factory=dict)
    is_right: bool = False
    is_claimed: bool = True
    fails: bool = False
    job_id: str = JOB
    incidents: tuple[Incident, ...] = ()

    def runs(self) -> pd.DataFrame:
        """Return the table of runs."""
        ledger = MemoryLedger()

        def register(scheduler: AsyncIOScheduler) -> None:
            claimed = once(ledger, instance=current_node())
            work = fail if self.fails else crawl_region
            due = cron(**({"hour": 3} | self.fields))
            job = claimed(work) if self.is_claimed else work
            scheduler.add_job(job, due, id=self.job_id, misfire_grace_time=GRACE)
            scheduler.add_job(claimed(crawl_region), cron(hour=3, minute=4), id=OTHER)

        incidents = self.incidents
        return simulate(register, *SPAN, nodes=3, scheduler=_plain, incidents=incidents).runs


def _plain() -> AsyncIOScheduler:
    return AsyncIOScheduler(timezone=KST, executors={"default": OccurrenceExecutor()})


_FROZEN: Final = Freeze("A", kst(2026, 5, 10, 2, 59), timedelta(minutes=10))

_LATE: Final = tuple(Freeze(node, kst(2026, 5, 10, 2, 57), timedelta(minutes=4)) for node in "ABC")

NIGHTS: Final = (
    _Night("a night at 03:00, run by one of three", is_right=True),
    _Night("a night with `spread`", {**spread(JOB, minutes=10)}, is_right=True),
    _Night("a night at 03:10", {"minute": 10}, is_right=True),
    _Night(
        "a night in which A is frozen and another one runs", is_right=True, incidents=(_FROZEN,)
    ),
    _Night("the night with `jitter=600`", {"jitter": 600}),
    _Night("a night in which nobody claims the run", is_claimed=False),
    _Night("a night in which the run raises", fails=True),
    _Night("a night that has two runs", {"minute": "0,5"}),
    _Night("a night that has another job only", job_id="crawl-044"),
    _Night("a night whose run is due at 02:59", {"hour": 2, "minute": 59}),
    _Night("a night whose run is due at 03:11", {"minute": 11}),
    _Night("a night whose run is due at 04:05", {"hour": 4, "minute": 5}),
    _Night(
        "a night whose run is due at 02:58, and starts at 03:01",
        {"hour": 2, "minute": 58},
        incidents=_LATE,
    ),
)
"""Right ones first: a test that fails on these is told so before all else."""


@exercise(
    "12.2",
    title="A test of one run among replicas",
    variable="test_one_run",
    hints=(
        "What does 12.2 show about `duplicates` of a job with jitter?",
        "Look at the rows of `crawl-042` that ended ok. How many may there be, and due when?",
        "`runs['scheduled_at'].between(...)` takes two moments, such as `kst(2026, 5, 10, 3)`.",
    ),
    solution="""
        def test_one_run(runs):
            ok = runs[(runs["job_id"] == "crawl-042") & (runs["status"] == "ok")]
            assert len(ok) == 1
            assert ok["scheduled_at"].between(kst(2026, 5, 10, 3), kst(2026, 5, 10, 3, 10)).all()
    """,
    link="https://pandas.pydata.org/docs/reference/api/pandas.Series.between.html",
)
def a_test_of_one_run(answer: Any) -> Right:
    """Run the reader's test on the tables of good nights, and of nights with a fault."""
    test = require_function(answer, "test_one_run", "runs")
    faults = require_catches(
        "test_one_run",
        lambda night: call_plain("test_one_run", test, night.runs()),
        NIGHTS,
        _drawn,
    )
    good = sum(night.is_right for night in NIGHTS)
    jitter = next(night for night in NIGHTS if "jitter" in night.fields)
    return Right(
        f"It passes on all {good} nights that are right, and fails on all {faults} that are not. "
        "The ledger's table of a real night has the same columns.",
        _drawn(jitter),
    )


def _drawn(night: _Night) -> tuple[Picture, ...]:
    return (partial(png, lambda: plot_timeline(night.runs(), start=SHOWN[0], end=SHOWN[1])),)
