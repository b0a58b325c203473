"""Serve applications in a simulated night, and stop them by a SIGTERM, as uvicorn does."""

from __future__ import annotations

import asyncio
import inspect
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from kst_scheduler.runs.recorder import RunRecorder
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import KST, in_milliseconds, kst
from kst_workbook.exercises.exercise import NotYetError, Picture
from kst_workbook.exercises.judging import png, shown
from kst_workbook.scenes.deployment_nights import SIGTERM, mark_sigterm

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.axes import Axes

SPAN = kst(2026, 5, 10, 2, 58), kst(2026, 5, 10, 4)


class Deployment:
    """An application of one scheduler, stopped at 03:02, and what became of its jobs."""

    def __init__(
        self, make_app: Callable[..., Any], add_jobs: Callable[[KSTScheduler], object]
    ) -> None:
        self.started_early = False
        """Whether the scheduler ran before the lifespan had been entered."""
        self.started = False
        """Whether the scheduler ran once the lifespan had been entered."""
        self.closed_after: timedelta | None = None
        """How long after the SIGTERM the lifespan ended; None: not by 04:00."""
        self.left_running = False
        """Whether the scheduler still ran then."""
        self._make_app = make_app
        self._add_jobs = add_jobs
        self._errors: list[BaseException] = []
        simulate(self._boot, *SPAN)
        self.runs = self._recorder.runs
        self._recorder.close()
        for error in self._errors:
            raise error

    def _boot(self, _scheduler_of_the_simulation: object) -> None:
        # Not that scheduler: the simulation starts it, and here the lifespan shall.
        scheduler = KSTScheduler()
        self._recorder = RunRecorder(scheduler, "")
        self._add_jobs(scheduler)
        self._task = asyncio.create_task(self._serve(scheduler))

    async def _serve(self, scheduler: KSTScheduler) -> None:
        try:
            app = require_app(self._make_app(scheduler))
            self.started_early = scheduler.running
            async with app.router.lifespan_context(app):
                self.started = scheduler.running
                await asyncio.sleep((SIGTERM - datetime.now(KST)).total_seconds())
            self.closed_after = in_milliseconds(datetime.now(KST)) - SIGTERM
            self.left_running = scheduler.running
        except Exception as error:  # noqa: BLE001 - raised again when the simulation is over
            self._errors.append(error)


def require_app(app: Any) -> Any:
    """Return what a function of the reader's returned, if it is a FastAPI application.

    Raises:
        NotYetError: it is something else.

    """
    from fastapi import FastAPI  # noqa: PLC0415 - slow to load, and only these exercises need it

    if inspect.iscoroutine(app):
        app.close()
        raise NotYetError("Your function is an `async def`. Write `def`: nobody awaits it.")
    if not isinstance(app, FastAPI):
        raise NotYetError(f"Your function returns {shown(app)}. Expected a FastAPI application.")
    return app


def stopped_pictures(
    mine: pd.DataFrame, expected: pd.DataFrame, **options: Any
) -> tuple[Picture, ...]:
    """Draw what the answer does, and beneath it what it should do, with the SIGTERM."""

    def draw(runs: pd.DataFrame) -> Axes:
        from kst_scheduler.timeline import plot_timeline  # noqa: PLC0415 - only when it is shown

        ax = plot_timeline(runs, **options)
        mark_sigterm(ax)
        return ax

    return tuple(partial(png, partial(draw, each)) for each in (mine, expected))
