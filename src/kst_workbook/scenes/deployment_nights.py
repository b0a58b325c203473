"""Nights in which a deployment stops a service: its lifespan is called as uvicorn calls it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import SimulationResult, current_node, simulate
from kst_scheduler.timeline import plot_timeline
from kst_scheduler.timezone import KST, in_milliseconds, kst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from fastapi import FastAPI
    from matplotlib.axes import Axes

CRAWL_BEGINS: Final = kst(2026, 5, 10, 3)
SIGTERM: Final = kst(2026, 5, 10, 3, 2)
"""When the platform stops the service."""
NIGHT: Final = (kst(2026, 5, 10, 2), kst(2026, 5, 10, 4))


@dataclass(frozen=True)
class Closing:
    """How the lifespan of one process ended."""

    after: timedelta
    """How long after the SIGTERM."""
    left_running: bool
    """Whether the scheduler still ran then."""


@dataclass(frozen=True)
class Deployment:
    """A night with a deployment."""

    night: SimulationResult
    closings: dict[str, Closing]
    """By node; a process that was killed is not in it."""


def deploy(
    make_app: Callable[[Any], FastAPI],
    add_jobs: Callable[[Any], object],
    scheduler: Callable[[], AsyncIOScheduler] = KSTScheduler,
    **options: Any,
) -> Deployment:
    """Simulate the night of 10 May 2026, in which a service gets a SIGTERM at 03:02.

    Args:
        make_app: makes the service's application, with the lifespan, for a scheduler.
        add_jobs: adds the jobs to that scheduler.
        scheduler: makes the scheduler.
        options: further arguments of ``simulate``, such as nodes and incidents.

    """
    closings: dict[str, Closing] = {}
    tasks = []

    async def serve(scheduler: AsyncIOScheduler) -> None:
        app = make_app(scheduler)
        async with app.router.lifespan_context(app):
            await asyncio.sleep((SIGTERM - datetime.now(KST)).total_seconds())
        after = in_milliseconds(datetime.now(KST)) - SIGTERM
        closings[current_node()] = Closing(after, scheduler.running)

    def register(scheduler: AsyncIOScheduler) -> None:
        add_jobs(scheduler)
        tasks.append(asyncio.create_task(serve(scheduler)))

    return Deployment(simulate(register, *NIGHT, scheduler=scheduler, **options), closings)


def plot_deployments(
    deployments: Mapping[str, Deployment],
    title: str,
    start: datetime = CRAWL_BEGINS - timedelta(minutes=5),
    end: datetime = CRAWL_BEGINS + timedelta(minutes=25),
) -> Axes:
    """Draw the nights of services of one process, beneath each other, with the SIGTERM.

    Args:
        deployments: by a word for each, which follows the names of its jobs; empty for none.
        title: of the picture.
        start: the first moment that is shown.
        end: the last one.

    """
    tables = [
        each.night.runs.assign(node="", job_id=each.night.runs["job_id"] + (word and f", {word}"))
        for word, each in deployments.items()
    ]
    ax = plot_timeline(pd.concat(tables), start=start, end=end, title=title)
    mark_sigterm(ax)
    return ax


def mark_sigterm(ax: Axes) -> None:
    """Draw a line at the SIGTERM into a timeline."""
    ax.axvline(SIGTERM, color="black", linestyle="--")  # type: ignore[arg-type] # dates
    ax.annotate(" SIGTERM", (SIGTERM, 0.03), xycoords=("data", "axes fraction"))
