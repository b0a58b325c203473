"""A lifespan is closed at 03:02, and the picture has a line there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from fastapi import FastAPI

from kst_scheduler.simulation import Crash, Node
from kst_scheduler.triggers.factories import cron
from kst_workbook.scenes.deployment_nights import (
    SIGTERM,
    Closing,
    deploy,
    plot_deployments,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler


def draining(scheduler: KSTScheduler) -> FastAPI:
    """Return an application that drains for five minutes."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        scheduler.start()
        yield
        await scheduler.drain(5 * 60)

    return FastAPI(lifespan=lifespan)


def crawl(scheduler: KSTScheduler) -> None:
    """Add a crawl of twenty minutes."""
    scheduler.add_job(asyncio.sleep, cron(hour=3), args=[20 * 60], id="crawl")


def test_the_lifespan_ends_when_its_drain_does() -> None:
    """Five minutes after the SIGTERM, with the crawl."""
    stopped = deploy(draining, crawl)
    assert stopped.closings == {"A": Closing(timedelta(minutes=5), left_running=False)}
    (run,) = stopped.night.runs.itertuples()
    assert (run.status, run.finished_at) == ("cancelled", SIGTERM + timedelta(minutes=5))


def test_a_process_that_is_killed_closes_nothing() -> None:
    """Only the other one is in the table of closings."""
    killed = [Crash("A", SIGTERM + timedelta(seconds=10))]
    stopped = deploy(draining, crawl, nodes=[Node("A"), Node("B")], incidents=killed)
    assert set(stopped.closings) == {"B"}


def test_the_picture_has_a_lane_for_each_night_and_the_sigterm() -> None:
    """The word of a night follows the name of its job."""
    stopped = deploy(draining, crawl)
    ax = plot_deployments({"": stopped, "again": stopped}, "twice")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["crawl", "crawl, again"]
    (line,) = (line for line in ax.lines if line.get_linestyle() == "--")
    assert np.asarray(line.get_xdata()).tolist() == [SIGTERM, SIGTERM]
    assert "SIGTERM" in {text.get_text().strip() for text in ax.texts}
