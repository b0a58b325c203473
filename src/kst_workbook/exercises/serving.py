"""What a coroutine does that starts a scheduler, waits to be stopped, and stops it."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from apscheduler.events import EVENT_SCHEDULER_STARTED

from kst_scheduler.runs.recorder import RunRecorder
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.exercise import NotYetError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import pandas as pd

JOB: Final = "daily-nps-crawl"
RENEWAL: Final = "renew-token"
CRAWL: Final = timedelta(minutes=20)
START: Final = kst(2026, 5, 10, 2, 55)
STOP: Final = kst(2026, 5, 10, 3, 5)
END: Final = kst(2026, 5, 10, 3, 50)


@dataclass
class Served:
    """What became of the coroutine and of the scheduler that it was given."""

    runs: pd.DataFrame = field(init=False)
    started: bool = False
    ended: datetime | None = None
    error: BaseException | None = None
    still_running: bool = False
    """Whether the scheduler still ran when the coroutine had returned."""


async def crawl() -> None:
    """Take as long as the crawl of notebook 02."""
    await asyncio.sleep(CRAWL.total_seconds())


def served(serve: Callable[..., Any], stop_at: datetime = STOP) -> Served:
    """Run the coroutine from 02:55 to 03:50 KST in virtual time, and ask it to stop.

    The scheduler has the crawl at 03:00, and a token that is renewed every ten minutes.

    Raises:
        NotYetError: what ``serve`` returns cannot be awaited.

    """
    seen = Served()
    recorders: list[RunRecorder] = []
    tasks: list[asyncio.Task[object]] = []

    def register(_the_simulations_own: object) -> None:
        scheduler, stop = KSTScheduler(), asyncio.Event()
        recorders.append(RunRecorder(scheduler, ""))
        scheduler.add_listener(lambda _event: _note_start(seen), EVENT_SCHEDULER_STARTED)
        scheduler.add_job(crawl, cron(hour=3, minute=0), id=JOB)
        scheduler.add_job(asyncio.sleep, cron(minute="*/10"), args=[10], id=RENEWAL)
        loop = asyncio.get_running_loop()
        loop.call_later((stop_at - START).total_seconds(), stop.set)
        task = loop.create_task(_awaited(serve(scheduler, stop)))
        task.add_done_callback(lambda task: _note_end(seen, task, scheduler))
        tasks.append(task)

    try:
        simulate(register, START, END)
    finally:
        _ask_for_errors(tasks)
    (recorder,) = recorders
    seen.runs = recorder.runs
    recorder.close()
    return seen


def _awaited(returned: Any) -> Coroutine[Any, Any, object]:
    if not inspect.isawaitable(returned):
        raise NotYetError("`serve` is a plain function. `async def serve(scheduler, stop)` it is.")

    async def run() -> object:
        return await returned

    return run()


def _ask_for_errors(tasks: list[asyncio.Task[object]]) -> None:
    """Keep asyncio from logging an error of which the caller hears anyway, such as an interrupt."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


def _note_start(seen: Served) -> None:
    seen.started = True


def _note_end(seen: Served, task: asyncio.Task[object], scheduler: KSTScheduler) -> None:
    seen.ended = datetime.now(KST)
    seen.still_running = scheduler.running
    seen.error = None if task.cancelled() else task.exception()
