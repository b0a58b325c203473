"""Exercise 13.2: The test that would have caught it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.simulation import Crash, simulate
from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron, every
from kst_workbook.exercises.exercise import Right, exercise
from kst_workbook.exercises.judging import png, require_function
from kst_workbook.exercises.questions.tried_tests import call_plain, require_catches

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from matplotlib.axes import Axes

    from kst_workbook.exercises.exercise import Picture

JOB: Final = "stock-sync"


async def sync_stock() -> None:
    """Fetch what each shop has in stock."""


async def settle() -> None:
    """Settle the day's payments."""


@dataclass(frozen=True)
class _Service:
    """A service with which the reader's test is tried."""

    what: str
    add: Callable[[AsyncIOScheduler], object]
    is_right: bool = False

    def __call__(self, scheduler: AsyncIOScheduler) -> None:
        """Add its jobs."""
        scheduler.add_job(settle, cron(hour=3), id="settlement")
        self.add(scheduler)


def _job(*arguments: Any, **options: Any) -> Callable[[AsyncIOScheduler], object]:
    return lambda scheduler: scheduler.add_job(sync_stock, *arguments, id=JOB, **options)


def _from_its_start(scheduler: AsyncIOScheduler) -> None:
    now = datetime.now(KST)
    scheduler.add_job(sync_stock, "interval", hours=6, next_run_time=now, id=JOB)


SERVICES: Final = (
    _Service("a service with `every(hours=6)`", _job(every(hours=6)), is_right=True),
    _Service(
        'a service with `cron(hour="0,6,12,18")`', _job(cron(hour="0,6,12,18")), is_right=True
    ),
    _Service("the hidden service, with its fault", _job("interval", hours=6)),
    _Service("a service that does it at its start, and every six hours after", _from_its_start),
    _Service("a service that has no job `stock-sync`", lambda _scheduler: None),
    _Service(
        "a service whose host is in UTC, and whose trigger takes its zone",
        _job(CronTrigger(hour="0,6,12,18", timezone="UTC"), allow_timezone="UTC"),
    ),
    _Service("a service that leaves 18:00 out", _job(cron(hour="0,6,12"))),
    _Service("a service that does it every three hours", _job(every(hours=3))),
    _Service("a service that does it half an hour late", _job(cron(hour="0,6,12,18", minute=30))),
)
"""What the reader's test is tried on; right ones first."""


@exercise(
    "13.2",
    title="The test that would have caught it",
    variable="test_stock_sync",
    hints=(
        "`simulate(register, ...)` runs a service. From what do its intervals count?",
        'A `Crash("A", at, restart_after)` is a restart. Look at what was due after it.',
        "Compare whole lists of times: a test that asks `all(...)` of no rows passes.",
    ),
    solution="""
        def test_stock_sync(register):
            restart = Crash("A", at=kst(2026, 5, 10, 2), restart_after=timedelta(minutes=1))
            day = simulate(register, kst(2026, 5, 10, 1), kst(2026, 5, 11, 1), incidents=[restart])
            runs = day.runs[day.runs["job_id"] == "stock-sync"]
            hours = runs["scheduled_at"].dt.strftime("%H:%M")
            assert list(hours) == ["06:00", "12:00", "18:00", "00:00"]
    """,
    link="https://docs.pytest.org/en/stable/how-to/assert.html",
)
def a_test_that_catches_it(answer: Any) -> Right:
    """Run the reader's test on services with the fault, with others, and with none."""
    test = require_function(answer, "test_stock_sync", "register")
    faults = require_catches("test_stock_sync", partial(_try_on, test), SERVICES, _drawn)
    return Right(
        f"It passes on both services that are right, and fails on all {faults} that are not.",
        _drawn(SERVICES[2]),
    )


def _try_on(test: Callable[..., Any], service: _Service) -> Any:
    """Run the test on a plain function, which does not tell whether it is right."""

    def register(scheduler: AsyncIOScheduler) -> None:
        service(scheduler)

    return call_plain("test_stock_sync", test, register)


def _drawn(service: _Service) -> tuple[Picture, ...]:
    return (partial(png, partial(_day, service)),)


def _day(service: _Service) -> Axes:
    """Draw a day with a restart at 02:00."""
    restart = Crash("A", kst(2026, 5, 10, 2), timedelta(minutes=10))
    span = kst(2026, 5, 10, 1), kst(2026, 5, 11, 1)
    day = simulate(service, *span, incidents=[restart])
    return plot_timeline(day.runs[day.runs["job_id"] == JOB], incidents=day.incidents)
