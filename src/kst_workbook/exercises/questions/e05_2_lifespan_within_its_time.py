"""Exercise 5.2: a lifespan within 120 seconds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.timeline.words import duration
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.deployment import Deployment, stopped_pictures
from kst_workbook.exercises.exercise import NotYetError, Picture, Right, exercise
from kst_workbook.exercises.judging import (
    require_function,
)
from kst_workbook.exercises.questions.draining_app import draining_app
from kst_workbook.scenes.deployment_nights import SIGTERM

if TYPE_CHECKING:
    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler

LIFESPAN: Final = "https://fastapi.tiangolo.com/advanced/events/"
BUDGET: Final = 105
"""Seconds: 120 of the platform, less 10 for requests and 5 to clean up."""


def crawl_until(after_sigterm: timedelta, scheduler: KSTScheduler) -> None:
    """Add a crawl that would end so long after the SIGTERM."""
    length = timedelta(minutes=2) + after_sigterm
    scheduler.add_job(asyncio.sleep, cron(hour=3), args=[length.total_seconds()], id="crawl")


@exercise(
    "5.2",
    title="A lifespan within 120 seconds",
    variable="make_app",
    hints=(
        "Three lines of a lifespan: what comes before `yield`, `yield`, and what comes after it.",
        "Section 5.7 says what the platform's time must hold. How much of it is left to drain?",
        "`drain` is awaited, in the lifespan, after `yield`.",
    ),
    solution="""
        def make_app(scheduler):
            @asynccontextmanager
            async def lifespan(app):
                scheduler.start()
                yield
                await scheduler.drain(120 - 10 - 5)

            return FastAPI(lifespan=lifespan)
    """,
    link=LIFESPAN,
)
def lifespan_within_its_time(make_app: Any) -> Right:
    """Start and drain, in all the time that the platform leaves."""
    require_function(make_app, "make_app", "scheduler")
    short = Deployment(make_app, partial(crawl_until, timedelta(seconds=100)))
    _require_start_and_end(short)
    _require_crawl(short)
    long = Deployment(make_app, partial(crawl_until, timedelta(minutes=20)))
    _require_start_and_end(long)
    _require_all_the_time(long)
    return Right(
        "The crawl that needs 100 seconds more ends by itself. One that needs 20 minutes is cut "
        "after 105, and the rest of the 120 is left for requests and for cleaning up.",
        _shots(short, timedelta(seconds=100))[:1],
    )


def _require_start_and_end(night: Deployment) -> None:
    if night.started_early:
        raise NotYetError(
            "Your function starts the scheduler itself. A module that calls it has no event loop "
            "yet; the lifespan has one."
        )
    if not night.started:
        raise NotYetError("Your lifespan reaches its `yield`, and the scheduler does not run.")
    if night.closed_after is None:
        raise NotYetError("58 minutes after the SIGTERM your lifespan is still not at its end.")


def _require_crawl(night: Deployment) -> None:
    crawl = night.runs[night.runs["job_id"] == "crawl"].iloc[0]
    if crawl["status"] != "ok":
        raise NotYetError(
            "A crawl needs 100 seconds more at the SIGTERM, and there is time for them. Yours is "
            f"{crawl['status']} after {_seconds(night)}.",
            _shots(night, timedelta(seconds=100)),
        )
    if night.left_running:
        raise NotYetError(
            f"Your lifespan ends {_seconds(night)} after the SIGTERM, and the scheduler works on "
            "in a service that is closed.",
            _shots(night, timedelta(seconds=100)),
        )


def _require_all_the_time(night: Deployment) -> None:
    seconds = round((night.closed_after or timedelta()).total_seconds())
    given = (night.runs["finished_at"] - pd.Timestamp(SIGTERM)).dt.total_seconds().max()
    if seconds == BUDGET and round(given) == BUDGET:
        return
    words = f"A crawl needs 20 minutes more. Your drain gives it {duration(given)}"
    words += ". " if round(given) == seconds else f", of the {_seconds(night)} of your lifespan. "
    if seconds > BUDGET:
        total = duration(seconds + 15)
        words += f"With requests and cleaning up that can be {total}: SIGKILL comes first."
    else:
        words += "The platform has more time than that."
    raise NotYetError(words, _shots(night, timedelta(minutes=20)))


def _seconds(night: Deployment) -> str:
    return duration(night.closed_after) if night.closed_after else "0 s"


def _shots(night: Deployment, after_sigterm: timedelta) -> tuple[Picture, ...]:
    good = Deployment(partial(draining_app, BUDGET), partial(crawl_until, after_sigterm))
    span = {"start": SIGTERM - timedelta(minutes=3), "end": SIGTERM + timedelta(minutes=3)}
    return stopped_pictures(night.runs, good.runs, **span)
