from __future__ import annotations

import asyncio
import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError
from kst_workbook.explorers import live, live_timeline
from kst_workbook.explorers.live import LiveTimeline

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the pictures that are shown, in their order, and keep the widget off the terminal."""
    shown: list[str] = []
    show = LiveTimeline.show

    def note(self: LiveTimeline, *arguments: Any) -> None:
        show(self, *arguments)
        shown.append(self.picture.value)

    monkeypatch.setattr(LiveTimeline, "show", note)
    monkeypatch.setattr(live, "display", lambda *_arguments, **_options: None)
    return shown


class Jobs:
    """A register function of a reader's own: one job that starts at once, and lasts."""

    def __init__(self) -> None:
        self.scheduler: AsyncIOScheduler | None = None
        self.begun = asyncio.Event()
        self.cancelled = False

    def register(self, scheduler: AsyncIOScheduler) -> None:
        """Add the job."""
        self.scheduler = scheduler
        scheduler.add_job(self.long, id="long", misfire_grace_time=None)

    async def long(self) -> None:
        """Run until it is cancelled."""
        self.begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@in_loop
async def test_the_picture_grows(frames: list[str]) -> None:
    """A run appears while it is at work, and its bar gets longer."""
    cell = asyncio.create_task(live_timeline(Jobs().register, seconds=60))
    async with asyncio.timeout(50):
        while len(set(frames)) < 3:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.02)
    cell.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cell


@in_loop
async def test_the_last_picture_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end the run is cut, and nothing is left running."""
    jobs = Jobs()
    sleep = asyncio.sleep

    async def when_begun(seconds: float) -> None:
        """Sleep from when the job has begun, however busy the machine is."""
        await jobs.begun.wait()
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", when_begun)
    seen = await live_timeline(jobs.register, seconds=0.6)
    assert seen.runs[["node", "job_id", "status"]].to_numpy().tolist() == [
        ["here", "long", "running"]
    ]
    assert seen.sentence.value == "1 run due: 1 running."
    shown, _ = seen._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]) == seen.drawing.png()
    assert seen.picture.value == seen.drawing.svg()
    assert jobs.scheduler
    assert not jobs.scheduler.running
    assert jobs.cancelled
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_loop
async def test_an_interrupted_cell_leaves_nothing_running(frames: list[str]) -> None:
    """Interrupt Kernel cancels the cell: the scheduler is shut down, and its job is cancelled."""
    jobs = Jobs()
    cell = asyncio.create_task(live_timeline(jobs.register, seconds=60))
    await jobs.begun.wait()
    cell.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cell
    assert frames
    assert jobs.cancelled
    assert jobs.scheduler
    assert not jobs.scheduler.running
    assert asyncio.all_tasks() == {asyncio.current_task()}


@in_loop
async def test_the_still_picture_of_the_three_jobs_is_the_same_every_time(
    frames: list[str],
) -> None:
    """It is simulated, so a stored notebook does not change with the day."""
    seen = await live_timeline(seconds=0.1)
    shown, _ = seen._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]) == live.still_picture(0.1).png()
    assert frames[-1] != live.still_picture(0.1).svg()
    assert repr(seen) == shown["text/plain"] == live.CAPTION


@in_loop
async def test_what_apscheduler_logs_stays_out_of_the_cell(
    frames: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut and failed runs are in the picture; the log would have their times, on stderr."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    before = logging.getLogger("apscheduler").propagate
    await live_timeline(Jobs().register, seconds=0.1)
    assert capsys.readouterr() == ("", "")
    assert frames
    assert logging.getLogger("apscheduler").propagate == before
    assert not logging.getLogger("apscheduler").handlers


@in_loop
async def test_a_register_function_that_raises_starts_nothing(frames: list[str]) -> None:
    """Its error is the reader's to see."""

    def broken(_scheduler: AsyncIOScheduler) -> None:
        raise ValueError("no trigger")

    with pytest.raises(ValueError, match="no trigger"):
        await live_timeline(broken)
    assert not frames


@pytest.mark.parametrize("seconds", [0, -1, 61, "3", None, float("nan")])
@in_loop
async def test_a_span_that_is_none_is_refused(seconds: Any) -> None:
    """A cell that would never end, or never begin, says what to write."""
    with pytest.raises(InvalidArgumentError, match=r"is not from 0 to 60; write seconds=2"):
        await live_timeline(seconds=seconds)
