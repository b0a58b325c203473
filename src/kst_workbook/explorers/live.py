"""A timeline that grows while a real scheduler runs in the notebook's own event loop."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from IPython.display import display

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.runs.recorder import RunRecorder
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import Node, simulate
from kst_scheduler.timeline.words import count, short
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import every
from kst_workbook.explorers.explorer import PICTURE, WIDE, bundle, import_widgets, status_counts
from kst_workbook.explorers.frame import Lane
from kst_workbook.explorers.timeline import draw_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_workbook.explorers.drawing import Drawing

CAPTION: Final = (
    "Live timeline: the outcome of each run while a real scheduler ran in this notebook's kernel."
)
REDRAW_SECONDS: Final = 0.25
MAX_SECONDS: Final = 60.0
NODE: Final = "here"
THREE_JOBS: Final = ("failing", "quick", "slow")


class LiveTimelineInterrupted(asyncio.CancelledError):
    """Raised when the cell of a live timeline is interrupted; a notebook shows it as one line."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows in place of a traceback."""
        return [str(self)]


class LiveTimeline:
    """What a real scheduler did in a few seconds, and the picture of it.

    ``still`` is the picture for where there are no widgets; None: the last one.
    """

    def __init__(self, still: Drawing | None = None) -> None:
        widgets = import_widgets()
        self.picture, self.sentence = widgets.HTML(), widgets.HTML()
        self.picture.add_class(PICTURE)
        self.widget = widgets.VBox([self.picture, self.sentence], layout=WIDE)
        self.runs: pd.DataFrame
        """The table of runs, as it was in the end."""
        self.drawing: Drawing
        """The picture of it."""
        self._still = still

    def __repr__(self) -> str:
        return CAPTION

    def _repr_mimebundle_(self, **_options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return bundle(self.widget, self._still or self.drawing, CAPTION)

    def show(self, runs: pd.DataFrame, jobs: list[str], start: datetime, end: datetime) -> None:
        """Draw the runs so far; a bar ends now where its run is still running."""
        self.runs = runs
        so_far = runs["finished_at"].where(runs["status"] != "running", datetime.now(KST))
        drawn = runs.assign(finished_at=so_far)
        self.drawing = draw_table(drawn, _lanes(jobs), start, end)
        self.picture.value = self.drawing.svg()
        self.sentence.value = status_counts(runs)

    def cut(self, runs: pd.DataFrame, jobs: list[str], start: datetime, end: datetime) -> str:
        """Draw the runs as they are when the cell is interrupted; return the line that says so."""
        self.show(runs, jobs, start, end)
        passed, whole = datetime.now(KST) - start, end - start
        words = f"after {passed.total_seconds():.1f} of {whole.total_seconds():g} seconds"
        running = count(int((runs["status"] == "running").sum()), "run")
        self.sentence.value = f"Interrupted {words}, {running} cut. {self.sentence.value}"
        return f"interrupted {words}; the scheduler is shut down, and {running} cut"


async def live_timeline(
    register: Callable[[AsyncIOScheduler], object] | None = None, seconds: float = 2
) -> LiveTimeline:
    """Run a real KSTScheduler for some seconds, and draw what its jobs do while they do it.

    The picture grows under the cell; the one that is returned is the last. The scheduler is shut
    down at the end, and when the cell is interrupted; runs that are in progress then are cancelled.

    Args:
        register: adds jobs to the scheduler, as for ``simulate``; three that run every second if
            left out: a quick one, one that takes longer than a second, and one that fails. Then
            the still picture is that of a simulation, so that it is the same every time.
        seconds: for how long, at most 60.

    Raises:
        InvalidArgumentError: ``seconds`` is not such a number.
        LiveTimelineInterrupted: the cell is interrupted; the picture stays, and says so.
        WorkbookError: ipywidgets is not installed.

    """
    if not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
        raise InvalidArgumentError(
            f"seconds={seconds!r} is not from 0 to {MAX_SECONDS:g}; write seconds=2"
        )
    growing = LiveTimeline()
    seen = LiveTimeline(still_picture(seconds) if register is None else None)
    scheduler = KSTScheduler()
    recorder = RunRecorder(scheduler, NODE)
    (register or three_jobs)(scheduler)
    jobs = [job.id for job in scheduler.get_jobs()] or [""]
    with _quiet():
        try:
            # The first picture takes longest, as Matplotlib is loaded for it: it is not one of the
            # seconds, of which none would be left on a busy machine.
            growing.show(recorder.runs, jobs, *_from_now(seconds))
            _display(growing, f"A real scheduler runs for {seconds:g} seconds.")
            start, end = _from_now(seconds)
            if not scheduler.running:
                scheduler.start()
            while (left := (end - datetime.now(KST)).total_seconds()) > 0:
                await asyncio.sleep(min(REDRAW_SECONDS, left))
                growing.show(recorder.runs, jobs, start, end)
        except asyncio.CancelledError:
            raise LiveTimelineInterrupted(growing.cut(recorder.runs, jobs, start, end)) from None
        finally:
            await scheduler.drain(0)
            recorder.close()
    seen.show(growing.runs, jobs, start, end)
    growing.widget.close()  # the last picture, which is returned, takes its place
    return seen


def _from_now(seconds: float) -> tuple[datetime, datetime]:
    start = datetime.now(KST)
    return start, start + timedelta(seconds=seconds)


def still_picture(seconds: float) -> Drawing:
    """Return the picture of the three jobs in a simulation that is so long."""
    start = kst(2026, 5, 10, 3)
    end = start + timedelta(seconds=seconds)
    result = simulate(three_jobs, start, end, [Node(NODE)])
    title = "The three jobs in a simulation; in a notebook that runs, a real scheduler draws them"
    return draw_table(result.runs, _lanes(THREE_JOBS), start, end, title)


def _lanes(jobs: Iterable[str]) -> dict[tuple[str, str], Lane]:
    return {(NODE, job): Lane(short(f"{NODE}  {job}", 40)) for job in jobs}


def three_jobs(scheduler: AsyncIOScheduler) -> None:
    """Add three jobs that run every second: one ends well, one is too slow, and one fails."""

    async def quick() -> None:
        await asyncio.sleep(0.3)

    async def slow() -> None:
        await asyncio.sleep(1.6)

    async def failing() -> None:
        await asyncio.sleep(0.2)
        raise ValueError("no such page")

    for job_id, job in zip(THREE_JOBS, (failing, quick, slow), strict=True):
        scheduler.add_job(job, every(seconds=1), id=job_id)


def _display(growing: LiveTimeline, words: str) -> None:
    """Show the widget; a stored notebook keeps the words, and the picture that is returned."""
    shown = dict(growing.widget._repr_mimebundle_())
    display(shown | {"text/plain": words}, raw=True)  # type: ignore[no-untyped-call]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what APScheduler logs out of the cell: the picture shows it, and it has times in it."""
    logger, silent = logging.getLogger("apscheduler"), logging.NullHandler()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(silent)
    try:
        yield
    finally:
        logger.removeHandler(silent)
        logger.propagate = propagate
