from __future__ import annotations

import asyncio
import inspect
import logging
import math
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.events import (
    EVENT_ALL,
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MISSED,
    EVENT_SCHEDULER_SHUTDOWN,
    SchedulerEvent,
)
from apscheduler.executors.base import BaseExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from in_loop import in_loop
from kst_scheduler.errors import (
    InvalidArgumentError,
    KSTSchedulerError,
    LockedOutError,
    NotRunningError,
)
from kst_scheduler.scheduler import drain
from kst_scheduler.scheduler.drain import DrainResult, in_seconds
from kst_scheduler.scheduler.executor import OccurrenceExecutor
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence, current_occurrence
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from collections.abc import Callable

THREE = Occurrence("crawl", kst(2026, 5, 10, 3))


class Crawl:
    """A coroutine job that runs until it is released, and notes how it ended."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.log: list[str] = []

    async def __call__(self) -> None:
        """Run."""
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # as a job that records its own end would
            self.log.append("cancelled")
            raise
        self.log.append("done")


class ThreadCrawl:
    """The same as a plain function, which runs in a thread."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.release = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        """Run."""
        self.started.set()
        self.release.wait(10)
        self.ended.set()

    async def has_started(self) -> None:
        """Wait for the thread."""
        assert await asyncio.to_thread(self.started.wait, 10)


def started_scheduler(**options: Any) -> tuple[KSTScheduler, list[SchedulerEvent]]:
    """Return a running scheduler and the events that it will have dispatched."""
    scheduler, events = KSTScheduler(**options), list[SchedulerEvent]()
    scheduler.start()
    scheduler.add_listener(events.append, EVENT_ALL)
    return scheduler, events


def due(scheduler: KSTScheduler, job: Callable[..., object], **options: Any) -> datetime:
    """Add a job that is due now; return its scheduled time."""
    now = datetime.now(KST).replace(microsecond=0)
    arguments: dict[str, Any] = {"id": "crawl", "next_run_time": now, **options}
    scheduler.add_job(job, "interval", hours=1, **arguments)
    return now


def codes(events: list[SchedulerEvent]) -> list[int]:
    """Return how runs ended, in order."""
    ends = (EVENT_JOB_EXECUTED, EVENT_JOB_ERROR, EVENT_JOB_MISSED)
    return [event.code for event in events if event.code in ends]


@in_loop
async def test_a_run_in_progress_may_end() -> None:
    """Drain waits for it, cuts nothing, and shuts the scheduler down."""
    scheduler, events = started_scheduler()
    crawl = Crawl()
    due(scheduler, crawl)
    await crawl.started.wait()
    draining = asyncio.create_task(scheduler.drain(10))
    await asyncio.sleep(0)
    crawl.release.set()
    drained = await draining
    assert drained.complete
    assert drained == DrainResult()
    assert crawl.log == ["done"]
    assert codes(events) == [EVENT_JOB_EXECUTED]
    assert events[-1].code == EVENT_SCHEDULER_SHUTDOWN
    assert not scheduler.running


@in_loop
async def test_a_run_that_is_locked_out_was_not_cut() -> None:
    """The work is another replica's, so nothing of it is lost here."""
    scheduler, _ = started_scheduler()
    started = asyncio.Event()

    async def locked_out() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise LockedOutError("held by node A") from None

    due(scheduler, locked_out)
    await started.wait()
    assert await scheduler.drain(0)


@in_loop
async def test_what_is_left_is_cancelled_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """After the timeout the job gets CancelledError, may clean up, and is in the result."""
    scheduler, events = started_scheduler()
    crawl = Crawl()
    run_time = due(scheduler, crawl)
    await crawl.started.wait()
    with caplog.at_level(logging.WARNING, "apscheduler.scheduler"):
        drained = await scheduler.drain(timedelta(milliseconds=10))
    assert not drained
    assert drained == DrainResult(cancelled=(Occurrence("crawl", run_time),))
    assert crawl.log == ["cancelled"]
    assert codes(events) == [EVENT_JOB_ERROR]
    assert not scheduler.running
    assert f"Drained the scheduler: cancelled: {Occurrence('crawl', run_time).key}" in caplog.text


@in_loop
async def test_nothing_starts_any_more_not_even_what_is_due() -> None:
    """A due job stays due, so that a job store would run it after the restart."""
    scheduler, events = started_scheduler()
    crawl, ran = Crawl(), []
    due(scheduler, crawl)
    await crawl.started.wait()
    draining = asyncio.create_task(scheduler.drain(10))
    late = due(scheduler, lambda: ran.append(1), id="late")
    await asyncio.sleep(0.01)
    due(scheduler, lambda: ran.append(1), id="later")
    await asyncio.sleep(0.01)
    assert scheduler.get_job("late").next_run_time == late
    crawl.release.set()
    assert await draining == DrainResult()
    assert not ran
    assert len(codes(events)) == 1


@in_loop
async def test_a_run_that_was_submitted_and_has_not_begun_does_not_begin() -> None:
    """It is named in the result, and its event says that it was missed."""
    scheduler, events = started_scheduler()
    ran: list[int] = []

    async def crawl() -> None:
        ran.append(1)

    run_time = due(scheduler, crawl)
    scheduler._process_jobs()
    assert await scheduler.drain(1) == DrainResult(not_started=(Occurrence("crawl", run_time),))
    assert not ran
    assert codes(events) == [EVENT_JOB_MISSED]


@in_loop
@pytest.mark.parametrize("seconds", [0, 10])
async def test_the_rest_of_a_backlog_does_not_start(seconds: float) -> None:
    """A batch of run times ends with the run in progress, whether that one ends or is cut."""
    scheduler, events = started_scheduler()
    crawl = Crawl()
    now = datetime.now(KST).replace(microsecond=0)
    times = [now - timedelta(hours=hours) for hours in (2, 1, 0)]
    due(scheduler, crawl, next_run_time=times[0], coalesce=False, misfire_grace_time=None)
    await crawl.started.wait()
    if seconds:
        asyncio.get_running_loop().call_later(0.01, crawl.release.set)
    drained = await scheduler.drain(seconds)
    first, *rest = (Occurrence("crawl", run_time) for run_time in times)
    assert drained == DrainResult(cancelled=() if seconds else (first,), not_started=tuple(rest))
    assert codes(events)[1:] == [EVENT_JOB_MISSED] * 2
    assert len(crawl.log) == 1


@in_loop
async def test_a_thread_cannot_be_cancelled_and_is_named() -> None:
    """Drain does not hang on it; its event still comes when it ends."""
    scheduler, events = started_scheduler()
    crawl = ThreadCrawl()
    run_time = due(scheduler, crawl)
    await crawl.has_started()
    before = time.monotonic()
    drained = await scheduler.drain(0.01)
    assert time.monotonic() - before < 5
    assert drained == DrainResult(still_running=(Occurrence("crawl", run_time),))
    assert not scheduler.running
    assert not codes(events)
    ended = asyncio.Event()
    scheduler.add_listener(lambda _: ended.set(), EVENT_JOB_EXECUTED)
    crawl.release.set()
    await asyncio.wait_for(ended.wait(), 10)
    assert codes(events) == [EVENT_JOB_EXECUTED]


@pytest.mark.parametrize("is_in_time", [True, False])
@in_loop
async def test_a_thread_that_its_job_has_given_up_is_waited_for_and_named(is_in_time: bool) -> None:
    """The job has returned, and its work goes on: it is still running."""
    scheduler, events = started_scheduler()
    crawl = ThreadCrawl()

    async def give_up() -> None:
        await asyncio.wait([asyncio.create_task(asyncio.to_thread(crawl))], timeout=0.01)

    run_time = due(scheduler, give_up)
    ended = asyncio.Event()
    scheduler.add_listener(lambda _: ended.set(), EVENT_JOB_EXECUTED)
    await asyncio.wait_for(ended.wait(), 10)
    if is_in_time:
        asyncio.get_running_loop().call_later(0.1, crawl.release.set)
    drained = await scheduler.drain(10 if is_in_time else 0.01)
    still_running = () if is_in_time else (Occurrence("crawl", run_time),)
    assert drained == DrainResult(still_running=still_running)
    crawl.release.set()
    assert codes(events) == [EVENT_JOB_EXECUTED]


@in_loop
async def test_a_run_that_waits_for_a_thread_never_starts() -> None:
    """The pool gets to it after the drain, and finds that it shall not run."""
    executor = OccurrenceExecutor(max_threads=1)
    scheduler, events = started_scheduler(executors={"default": executor})
    crawl, ran = ThreadCrawl(), []
    first = due(scheduler, crawl)
    scheduler._process_jobs()
    await asyncio.sleep(0)
    assert crawl.started.wait(10)
    second = due(scheduler, lambda: ran.append(1), id="late")
    scheduler._process_jobs()
    assert await scheduler.drain(0.01) == DrainResult(
        still_running=(Occurrence("crawl", first),), not_started=(Occurrence("late", second),)
    )
    ended = asyncio.Event()
    scheduler.add_listener(lambda _: len(codes(events)) == 2 and ended.set(), EVENT_ALL)  # type: ignore[func-returns-value]
    crawl.release.set()
    await asyncio.wait_for(ended.wait(), 10)
    assert codes(events) == [EVENT_JOB_EXECUTED, EVENT_JOB_MISSED]
    assert not ran


def test_a_thread_that_outlives_its_loop_ends_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The process goes on to its end, and waits for the thread there."""
    release, threads = threading.Event(), list[threading.Thread]()

    def crawl() -> None:
        threads.append(threading.current_thread())
        release.wait(10)

    async def serve() -> None:
        scheduler, _ = started_scheduler()
        due(scheduler, crawl)
        while not threads:  # noqa: ASYNC110 - it is filled in a thread
            await asyncio.sleep(0.001)
        assert not await scheduler.drain(0)

    asyncio.run(serve())
    caplog.clear()
    release.set()
    (thread,) = threads
    thread.join(10)
    assert not thread.is_alive()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@in_loop
async def test_a_job_that_ends_well_in_spite_of_the_cancellation_was_not_cut() -> None:
    """What counts is what became of the run."""
    scheduler, events = started_scheduler()
    started = asyncio.Event()

    async def crawl() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    due(scheduler, crawl)
    await started.wait()
    assert await scheduler.drain(0) == DrainResult()
    assert codes(events) == [EVENT_JOB_EXECUTED]


@in_loop
async def test_a_coroutine_that_will_not_be_cancelled_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its clean-up has a limit, too, so that drain always ends."""
    monkeypatch.setattr(drain, "CLEAN_UP_SECONDS", 0.01)
    scheduler, _ = started_scheduler()
    started, release, cancelled = asyncio.Event(), asyncio.Event(), 0

    async def crawl() -> None:
        nonlocal cancelled
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                cancelled += 1

    run_time = due(scheduler, crawl)
    await started.wait()
    assert await scheduler.drain(0) == DrainResult(still_running=(Occurrence("crawl", run_time),))
    assert cancelled
    assert not scheduler.running
    release.set()
    await asyncio.sleep(0.01)


@in_loop
async def test_jobs_on_other_executors_are_waited_for_and_named_by_id() -> None:
    """A thread pool does not say which occurrence it runs, nor let itself be awaited."""
    scheduler, events = started_scheduler(executors={"threads": ThreadPoolExecutor(1)})
    crawl = ThreadCrawl()
    due(scheduler, crawl, executor="threads")
    await crawl.has_started()
    assert await scheduler.drain(0.01) == DrainResult(other_jobs=("crawl",))
    assert not crawl.ended.is_set()  # the loop goes on while the thread is at work
    crawl.release.set()

    scheduler, events = started_scheduler(executors={"threads": ThreadPoolExecutor(1)})
    crawl = ThreadCrawl()
    due(scheduler, crawl, executor="threads")
    await crawl.has_started()
    asyncio.get_running_loop().call_later(0.02, crawl.release.set)
    assert await scheduler.drain(10) == DrainResult()
    assert codes(events) == [EVENT_JOB_EXECUTED]


@in_loop
async def test_draining_a_scheduler_that_does_not_run_does_nothing() -> None:
    """So it can stand in a finally, before the start, after a shutdown, and twice."""
    scheduler = KSTScheduler()
    assert await scheduler.drain(1) == DrainResult()
    scheduler.start()
    assert await scheduler.drain(1) == DrainResult()
    assert await scheduler.drain(1) == DrainResult()


@in_loop
async def test_two_drains_at_once_share_one_result() -> None:
    """The second waits for the first, whatever its own timeout."""
    scheduler, _ = started_scheduler()
    crawl = Crawl()
    run_time = due(scheduler, crawl)
    await crawl.started.wait()
    first, second = await asyncio.gather(scheduler.drain(0.01), scheduler.drain(60))
    assert first is second
    assert first == DrainResult(cancelled=(Occurrence("crawl", run_time),))


@in_loop
async def test_a_caller_that_gives_up_does_not_stop_the_drain() -> None:
    """A drain once begun is carried through."""
    scheduler, _ = started_scheduler()
    crawl = Crawl()
    due(scheduler, crawl)
    await crawl.started.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(scheduler.drain(10), 0.01)
    assert scheduler.running
    crawl.release.set()
    assert await scheduler.drain(10) == DrainResult()
    assert not scheduler.running
    assert crawl.log == ["done"]


@in_loop
async def test_a_job_cannot_drain_its_own_scheduler() -> None:
    """It would wait for its own end; neither in the job, nor in a task of it, nor in a thread."""
    scheduler, events = started_scheduler()
    loop = asyncio.get_running_loop()

    async def directly() -> None:
        await scheduler.drain(1)

    async def in_a_task() -> None:
        await asyncio.create_task(scheduler.drain(1))

    def from_a_thread() -> None:
        asyncio.run_coroutine_threadsafe(scheduler.drain(1), loop).result(10)

    ended = asyncio.Event()
    scheduler.add_listener(lambda _: ended.set(), EVENT_JOB_ERROR | EVENT_JOB_EXECUTED)
    for job in (directly, in_a_task, from_a_thread):
        ended.clear()
        due(scheduler, job, replace_existing=True)
        await asyncio.wait_for(ended.wait(), 10)
    errors = [event.exception for event in events if event.code == EVENT_JOB_ERROR]
    assert [type(error) for error in errors] == [KSTSchedulerError] * 3
    assert "drain() was called inside the job 'crawl'" in str(errors[0])
    assert await scheduler.drain(1)


@in_loop
async def test_what_a_finished_job_left_behind_may_drain() -> None:
    """A task that outlives its job does not wait for itself."""
    scheduler, _ = started_scheduler()
    go_on = asyncio.Event()
    tasks: list[asyncio.Task[DrainResult]] = []

    async def afterwards() -> DrainResult:
        await go_on.wait()
        assert current_occurrence().job_id == "crawl"
        return await scheduler.drain(1)

    async def crawl() -> None:
        tasks.append(asyncio.create_task(afterwards()))

    scheduler.add_listener(lambda _: go_on.set(), EVENT_JOB_EXECUTED)
    due(scheduler, crawl)
    await go_on.wait()
    assert await tasks[0] == DrainResult()


@in_loop
async def test_a_drained_scheduler_can_start_again() -> None:
    """Nothing of the drain is left over."""
    scheduler, _ = started_scheduler()
    first = ThreadCrawl()
    due(scheduler, first)
    await first.has_started()
    await scheduler.drain(0)
    scheduler.start()
    crawl = Crawl()
    crawl.release.set()
    due(scheduler, crawl, id="again")
    await crawl.started.wait()
    first.release.set()
    assert await scheduler.drain(10) == DrainResult()
    assert crawl.log == ["done"]


@in_loop
async def test_while_it_drains_a_scheduler_cannot_be_resumed() -> None:
    """Nor asked for a run."""
    scheduler, _ = started_scheduler()
    crawl = Crawl()
    due(scheduler, crawl)
    await crawl.started.wait()
    draining = asyncio.create_task(scheduler.drain(10))
    await asyncio.sleep(0)
    with pytest.raises(NotRunningError, match="is draining and starts nothing any more"):
        scheduler.resume()
    with pytest.raises(NotRunningError, match="is draining and starts nothing any more"):
        scheduler.run_now("crawl")
    crawl.release.set()
    await draining


@in_loop
async def test_a_paused_scheduler_is_drained_too() -> None:
    """Paused means that nothing new starts, and says nothing of what runs."""
    scheduler, _ = started_scheduler()
    crawl = Crawl()
    run_time = due(scheduler, crawl)
    await crawl.started.wait()
    scheduler.pause()
    assert await scheduler.drain(0) == DrainResult(cancelled=(Occurrence("crawl", run_time),))


@pytest.mark.parametrize("timeout", [-1, math.inf, math.nan, timedelta(seconds=-1), "20", None])
def test_a_timeout_that_is_none_is_refused(timeout: Any) -> None:
    """The message shows it, and what to write."""
    with pytest.raises(InvalidArgumentError, match=r"timeout=.* write seconds, such as 20"):
        in_seconds(timeout)


def test_a_timeout_is_in_seconds_or_a_timedelta() -> None:
    """Zero is a timeout, too."""
    assert in_seconds(0) == 0
    assert in_seconds(1.5) == 1.5
    assert in_seconds(timedelta(minutes=1)) == 60


def test_what_was_cut_is_written_in_words() -> None:
    """As the log shows it."""
    assert str(DrainResult()) == "every run ended by itself"
    assert str(DrainResult(cancelled=(THREE,), other_jobs=("a", "b"))) == (
        "cancelled: crawl@2026-05-09T18:00:00Z; other_jobs: a, b"
    )
    assert str(THREE.scheduled_at.astimezone(UTC)) == "2026-05-09 18:00:00+00:00"


def test_the_private_names_it_stands_on_are_there() -> None:
    """APScheduler may move its private names; then this says which one first."""
    assert BaseExecutor.__abstractmethods__ == {"_do_submit_job"}
    executor = ThreadPoolExecutor(1)
    assert dict(executor._instances) == {}
    executor.shutdown()
    submit = inspect.getsource(BaseExecutor.submit_job)
    assert "self._instances[job.id] += 1" in submit
    assert "del self._instances[job_id]" in inspect.getsource(BaseExecutor._run_job_success)
    scheduler = AsyncIOScheduler()
    assert scheduler._logger.name == "apscheduler.scheduler"
    assert scheduler._eventloop is None
    assert "call_soon_threadsafe" in inspect.getsource(
        AsyncIOScheduler._shutdown.__globals__["run_in_event_loop"]
    )
