"""Exercise 2.3: Start and stop without loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.timezone import kst
from kst_workbook.exercises.exercise import NotYetError, Right, exercise
from kst_workbook.exercises.judging import pictures, require_function
from kst_workbook.exercises.serving import (
    CRAWL,
    END,
    JOB,
    START,
    STOP,
    Served,
    served,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_workbook.exercises.exercise import Picture

CRAWL_AT: Final = kst(2026, 5, 10, 3)
OTHER_STOPS: Final = tuple(kst(2026, 5, 10, *at) for at in ((2, 58), (3, 1), (3, 12)))
PATIENCE: Final = pd.Timedelta(minutes=1)
"""How long the coroutine may go on when the last run has ended."""


@exercise(
    "2.3",
    title="Start and stop without loss",
    variable="serve",
    hints=(
        "2.4 has the frame, and says what to call at the end, and what not.",
        "Three steps: start, wait for the event as `asyncio.Event` lets you, come to rest.",
        "Each of the last two is awaited, and the crawl needs more time than `main` in 2.4 gives.",
    ),
    solution="""
        async def serve(scheduler, stop):
            scheduler.start()
            try:
                await stop.wait()
            finally:
                await scheduler.drain(30 * 60)
    """,
    link="https://docs.python.org/3/library/asyncio-sync.html#asyncio.Event",
)
def start_and_stop_without_loss(serve: Any) -> Right:
    """Write the coroutine of a service: start, wait until it is stopped, let the crawl end."""
    function = require_function(serve, "serve", "scheduler", "stop")
    drawn = _judge(function, STOP)
    for stop_at in OTHER_STOPS:
        try:
            _judge(function, stop_at)
        except NotYetError as error:
            raise NotYetError(
                f"Stopped at {STOP:%H:%M} all is well, and stopped at {stop_at:%H:%M} it is not. "
                f"{error}",
                error.pictures,
            ) from error
    return Right(
        "The crawl had its 20 minutes, although the service was stopped after five of them. "
        "Nothing started after that, and `serve` returned when the crawl had ended; so it is when "
        "`stop` is set before the crawl, or later in it.",
        drawn[:1],
    )


def _judge(function: Callable[..., Any], stop_at: datetime) -> tuple[Picture, ...]:
    seen = served(function, stop_at)
    if seen.error is not None:
        raise seen.error
    drawn = pictures(seen.runs, served(_solution, stop_at).runs, start=START, end=END)
    _refuse_a_bad_start(seen, stop_at)
    _refuse_a_cut(seen, drawn)
    _refuse_a_bad_end(seen, stop_at, drawn)
    return drawn


async def _solution(scheduler: AsyncIOScheduler, stop: Any) -> None:
    scheduler.start()
    await stop.wait()
    await scheduler.drain(CRAWL)


def _refuse_a_bad_start(seen: Served, stop_at: datetime) -> None:
    if not seen.started:
        raise NotYetError("At 03:00 nothing ran: `serve` has not started the scheduler.")
    if seen.ended is not None and seen.ended < stop_at:
        raise NotYetError(
            f"`serve` returned at {seen.ended:%H:%M}, before it was asked to stop: `stop` is set "
            f"at {stop_at:%H:%M}."
        )
    if stop_at > CRAWL_AT and JOB not in set(seen.runs["job_id"]):
        raise NotYetError("The scheduler was started, and yet no crawl started at 03:00.")


def _refuse_a_cut(seen: Served, drawn: tuple[Picture, ...]) -> None:
    """Refuse what has not let the crawl end."""
    run: Any
    for run in seen.runs[seen.runs["job_id"] == JOB].itertuples():
        if run.status != "ok":
            minutes = (run.finished_at - run.started_at) // pd.Timedelta(minutes=1)
            raise NotYetError(
                f"The crawl was cut off at {run.finished_at:%H:%M}, after {minutes} of its 20 "
                "minutes.",
                drawn,
            )
        if seen.ended is not None and seen.ended < run.finished_at:
            raise NotYetError(
                f"`serve` returned at {seen.ended:%H:%M}, while the crawl was at work. In a script "
                "`asyncio.run` cancels at that moment what still runs.",
                drawn,
            )


def _refuse_a_bad_end(seen: Served, stop_at: datetime, drawn: tuple[Picture, ...]) -> None:
    """Refuse what starts more after the stop, or does not come to rest."""
    later = seen.runs[seen.runs["scheduled_at"] > pd.Timestamp(stop_at)]
    run: Any
    for run in later.dropna(subset="started_at").itertuples():
        raise NotYetError(
            f"`stop` was set at {stop_at:%H:%M}, and `{run.job_id}` started at "
            f"{run.started_at:%H:%M} all the same.",
            drawn,
        )
    last = max([pd.Timestamp(stop_at), *seen.runs["finished_at"].dropna()])
    if seen.ended is None or seen.ended - last > PATIENCE:
        ended = "has not returned" if seen.ended is None else f"returned at {seen.ended:%H:%M}"
        what = "The crawl ended" if last > pd.Timestamp(stop_at) else "Nothing ran any more"
        raise NotYetError(
            f"{what} at {last:%H:%M}, and `serve` {ended}. A deployment waits for it.", drawn
        )
    if seen.still_running:
        raise NotYetError("`serve` has returned, and the scheduler still runs.", drawn)
