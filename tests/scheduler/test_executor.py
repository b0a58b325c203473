from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler import events
from apscheduler.events import (
    EVENT_ALL,
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MISSED,
    JobExecutionEvent,
    SchedulerEvent,
)
from apscheduler.executors import pool
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.base import BaseExecutor, MaxInstancesReachedError
from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from in_loop import in_loop
from kst_scheduler.errors import (
    InvalidArgumentError,
    LeaseLostError,
    LockedOutError,
    NoOccurrenceError,
)
from kst_scheduler.scheduler.executor import (
    EVENT_JOB_LOCKED_OUT,
    Batch,
    OccurrenceExecutor,
    returns_awaitable,
)
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence, current_occurrence
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator

ENDED = EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_LOCKED_OUT


class Bench:
    """A started scheduler with the executor on it, and no schedule of its own."""

    def __init__(self) -> None:
        self.executor = OccurrenceExecutor()
        self.scheduler = AsyncIOScheduler(timezone=UTC, executors={"default": self.executor})
        self.events: list[JobExecutionEvent] = []
        self.scheduler.add_listener(self.events.append, ENDED)
        self.scheduler.start()

    def job(self, function: Callable[..., object], **options: Any) -> Job:
        """Add a job that only runs when it is submitted."""
        options = {"id": "crawl", "next_run_time": None, "misfire_grace_time": None} | options
        return self.scheduler.add_job(function, "interval", hours=1, **options)

    async def run(self, function: Callable[..., object], *run_times: datetime) -> None:
        """Run a job at these times, as one batch, to its end."""
        self.executor.submit_job(self.job(function), list(run_times))
        await self.idle()

    async def idle(self) -> None:
        """Wait until nothing is in progress, and all events have been dispatched."""
        while self.executor.batches:
            await asyncio.wait(list(self.executor.batches))
        await asyncio.sleep(0)


def moments(count: int) -> list[datetime]:
    """Return past times, an hour apart."""
    now = datetime.now(UTC).replace(microsecond=0)
    return [now - timedelta(hours=hours) for hours in range(count, 0, -1)]


@in_loop
async def test_a_coroutine_job_is_told_which_occurrence_it_runs() -> None:
    """The job sees its id and its scheduled time, not the moment at which it started."""
    bench, seen = Bench(), []

    async def crawl() -> None:
        await asyncio.sleep(0)
        seen.append(current_occurrence())

    (run_time,) = moments(1)
    await bench.run(crawl, run_time)
    assert seen == [Occurrence("crawl", run_time)]


@in_loop
async def test_a_plain_function_is_told_in_its_thread() -> None:
    """A plain function runs in a pool's thread, and knows its occurrence there."""
    bench, seen = Bench(), []
    main = threading.get_ident()

    def crawl() -> None:
        seen.append((current_occurrence(), threading.get_ident() != main))

    (run_time,) = moments(1)
    await bench.run(crawl, run_time)
    assert seen == [(Occurrence("crawl", run_time), True)]


@in_loop
async def test_each_run_of_a_backlog_sees_its_own_time() -> None:
    """With coalesce=False one slot runs a batch of times, and each run is told its own."""
    bench, run_times = Bench(), moments(3)
    seen: list[datetime] = []

    async def in_the_loop() -> None:
        seen.append(current_occurrence().scheduled_at)

    def in_a_thread() -> None:
        seen.append(current_occurrence().scheduled_at)

    await bench.run(in_the_loop, *run_times)
    bench.scheduler.remove_all_jobs()
    await bench.run(in_a_thread, *run_times)
    assert seen == run_times * 2


@in_loop
async def test_jobs_side_by_side_do_not_see_each_other() -> None:
    """Two runs that interleave at every await keep their own occurrence."""
    bench, seen = Bench(), set()

    async def crawl() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            seen.add(current_occurrence().job_id)

    run_times = moments(1)
    for job_id in ("a", "b"):
        bench.executor.submit_job(bench.job(crawl, id=job_id), run_times)
    await bench.idle()
    assert seen == {"a", "b"}


@in_loop
async def test_the_loop_and_its_threads_forget_the_occurrence() -> None:
    """Neither the code that submits nor the next user of a pool's thread sees a stale one."""
    only_thread = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(only_thread)
    bench = Bench()
    await bench.run(lambda: None, *moments(2))
    with pytest.raises(NoOccurrenceError):
        current_occurrence()
    with pytest.raises(NoOccurrenceError):
        await asyncio.wrap_future(only_thread.submit(current_occurrence))


@in_loop
async def test_events_are_those_of_asyncioexecutor() -> None:
    """Executed, raised and missed runs are dispatched as APScheduler's own executor does."""

    async def crawl() -> str:
        return "rows"

    async def broken() -> None:
        raise ValueError("no rows")

    def shown(events: list[JobExecutionEvent]) -> list[tuple[object, ...]]:
        return [(e.code, e.job_id, e.jobstore, e.retval, repr(e.exception)) for e in events]

    async def outcome(executor: BaseExecutor) -> list[tuple[object, ...]]:
        bench, all_ended = Bench(), asyncio.Event()

        def count(_event: object) -> None:
            if len(bench.events) == 8:
                all_ended.set()

        bench.scheduler.add_listener(count, ENDED)
        executor.start(bench.scheduler, "other")
        for number, function in enumerate((crawl, broken, lambda: "rows", crawl)):
            late = {"misfire_grace_time": 1} if number == 3 else {}
            job = bench.job(function, id=f"job-{number}", **late)
            executor.submit_job(job, moments(2))
        await asyncio.wait_for(all_ended.wait(), 10)
        return sorted(shown(bench.events), key=repr)

    assert await outcome(OccurrenceExecutor()) == await outcome(AsyncIOExecutor())


@in_loop
async def test_max_instances_counts_batches() -> None:
    """A batch takes one slot, whatever its length, and the next one is refused."""
    bench, release = Bench(), asyncio.Event()
    job = bench.job(release.wait)
    bench.executor.submit_job(job, moments(3))
    with pytest.raises(MaxInstancesReachedError):
        bench.executor.submit_job(job, moments(1))
    release.set()
    await bench.idle()
    bench.executor.submit_job(job, moments(1))
    await bench.idle()
    assert [event.code for event in bench.events] == [EVENT_JOB_EXECUTED] * 4


@in_loop
async def test_it_knows_what_is_in_progress() -> None:
    """A batch names the occurrence it is at, and those whose turn has not come."""
    bench, started, release = Bench(), asyncio.Event(), asyncio.Event()

    async def crawl() -> None:
        started.set()
        await release.wait()

    first, second, third = moments(3)
    bench.executor.submit_job(bench.job(crawl), [first, second, third])
    (batch,) = bench.executor.batches.values()
    assert batch.current == Occurrence("crawl", first)
    assert [late.scheduled_at for late in batch.not_started] == [first, second, third]
    await started.wait()
    assert batch.current == Occurrence("crawl", first)
    assert list(batch.not_started) == [Occurrence("crawl", late) for late in (second, third)]
    release.set()
    await bench.idle()
    assert not bench.executor.batches


@in_loop
async def test_shutting_down_cuts_the_run_and_starts_no_other_of_its_batch() -> None:
    """The run in progress is cancelled; those behind it are missed, and say so in their event."""
    bench, started, starts = Bench(), asyncio.Event(), []

    async def crawl() -> None:
        starts.append(current_occurrence().scheduled_at)
        started.set()
        await asyncio.Event().wait()

    run_times = moments(3)
    bench.executor.submit_job(bench.job(crawl), run_times)
    await started.wait()
    bench.executor.shutdown()
    await bench.idle()
    assert starts == run_times[:1]
    assert [(event.code, event.scheduled_run_time) for event in bench.events] == [
        (EVENT_JOB_ERROR, run_times[0]),
        (EVENT_JOB_MISSED, run_times[1]),
        (EVENT_JOB_MISSED, run_times[2]),
    ]


@pytest.mark.parametrize(
    ("caught", "code"), [([], EVENT_JOB_ERROR), ([asyncio.CancelledError], EVENT_JOB_EXECUTED)]
)
@in_loop
async def test_cancelling_a_batch_starts_no_other_of_its_runs(
    caught: list[type[BaseException]], code: int
) -> None:
    """By its task, as asyncio.run cancels what is left; also where the job pays no heed."""
    bench, started = Bench(), asyncio.Event()
    starts: list[datetime] = []

    async def crawl() -> None:
        starts.append(current_occurrence().scheduled_at)
        started.set()
        with contextlib.suppress(*caught):
            await asyncio.sleep(60 if len(starts) == 1 else 0)

    run_times = moments(3)
    bench.executor.submit_job(bench.job(crawl), run_times)
    await started.wait()
    (task,) = bench.executor.batches
    task.cancel()
    await bench.idle()
    assert starts == run_times[:1]
    assert [(event.code, event.scheduled_run_time) for event in bench.events] == [
        (code, run_times[0]),
        (EVENT_JOB_MISSED, run_times[1]),
        (EVENT_JOB_MISSED, run_times[2]),
    ]


@in_loop
async def test_a_time_limit_inside_a_job_is_no_cancellation_of_its_batch() -> None:
    """asyncio.timeout cancels the task and takes that back; so the next run starts."""
    bench, starts = Bench(), []

    async def crawl() -> None:
        starts.append(1)
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    await bench.run(crawl, *moments(2))
    assert len(starts) == 2


@in_loop
async def test_an_awaited_task_that_is_cancelled_does_not_end_the_batch() -> None:
    """The job gets its CancelledError, and nobody has cancelled the job."""
    bench, starts = Bench(), []

    async def crawl() -> None:
        starts.append(1)
        inner = asyncio.create_task(asyncio.Event().wait())
        inner.cancel()
        await inner

    await bench.run(crawl, *moments(2))
    assert len(starts) == 2


@in_loop
async def test_a_thread_whose_batch_is_cancelled_starts_no_other_of_its_runs() -> None:
    """Its run in progress goes on, as nothing stops a thread; the others were called missed."""
    bench, started, release = Bench(), threading.Event(), threading.Event()
    starts: list[datetime] = []

    def crawl() -> None:
        starts.append(current_occurrence().scheduled_at)
        started.set()
        release.wait(10)

    run_times = moments(3)
    bench.executor.submit_job(bench.job(crawl), run_times)
    await asyncio.to_thread(started.wait, 10)
    ((future, batch),) = bench.executor.batches.items()
    future.cancel()
    await bench.idle()
    assert [event.scheduled_run_time for event in bench.events] == run_times[1:]
    release.set()
    await asyncio.get_running_loop().shutdown_default_executor()  # the thread has ended
    assert starts == run_times[:1]
    assert batch.closed


@in_loop
async def test_asyncioexecutor_starts_the_next_run_of_a_cancelled_batch() -> None:
    """The library's own executor cuts one run of a backlog, and the next one starts."""
    started, starts = asyncio.Event(), []

    async def crawl() -> None:
        starts.append(1)
        started.set()
        await asyncio.Event().wait()

    bench, executor = Bench(), AsyncIOExecutor()
    executor.start(bench.scheduler, "plain")
    executor.submit_job(bench.job(crawl), moments(2))
    (task,) = executor._pending_futures
    await started.wait()
    executor.shutdown()
    await asyncio.sleep(0.01)
    assert len(starts) == 2
    task.cancel()
    await asyncio.wait([task])


@in_loop
async def test_a_run_that_never_began_is_missed_at_shutdown() -> None:
    """A task that is cancelled before its first step leaves an event, and no traceback."""
    bench, ran = Bench(), []

    async def crawl() -> None:
        ran.append(1)

    bench.executor.submit_job(bench.job(crawl), moments(2))
    bench.executor.shutdown()
    await bench.idle()
    assert not ran
    assert [event.code for event in bench.events] == [EVENT_JOB_MISSED] * 2


@in_loop
async def test_a_thread_outlives_the_shutdown_and_still_has_its_event() -> None:
    """A thread cannot be cancelled; its run ends when it ends, and is not called an error."""
    bench, started, release = Bench(), threading.Event(), threading.Event()

    def crawl() -> str:
        started.set()
        release.wait(10)
        return "rows"

    bench.executor.submit_job(bench.job(crawl), moments(2))
    await asyncio.to_thread(started.wait, 10)
    bench.executor.shutdown()
    await asyncio.sleep(0)
    assert bench.executor.batches
    release.set()
    await bench.idle()
    assert [(event.code, event.retval) for event in bench.events] == [
        (EVENT_JOB_EXECUTED, "rows"),
        (EVENT_JOB_MISSED, None),
    ]


@in_loop
async def test_run_times_may_come_from_a_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder puts its own job and its own run times between the scheduler and the executor."""
    bench = Bench()
    steps: list[object] = []
    submit = bench.executor._do_submit_job

    class Watched:
        def __init__(self, job: Job) -> None:
            self._job = job
            self.func = self.crawl

        def __getattr__(self, name: str) -> Any:
            return getattr(self._job, name)

        async def crawl(self) -> None:
            steps.append(current_occurrence().scheduled_at)
            await self._job.func()

    def each(run_times: Iterable[datetime]) -> Iterator[datetime]:
        for run_time in run_times:
            steps.append("next")
            yield run_time
        steps.append("end")

    def watched_submit(job: Job, run_times: list[datetime]) -> None:
        submit(Watched(job), each(run_times))

    monkeypatch.setattr(bench.executor, "_do_submit_job", watched_submit)

    async def crawl() -> None:
        steps.append("run")

    first, second = moments(2)
    await bench.run(crawl, first, second)
    assert steps == ["next", first, "run", "next", second, "run", "end"]


@pytest.mark.parametrize("in_thread", [False, True])
@in_loop
async def test_a_batch_that_fails_outside_its_job_frees_its_slot(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, in_thread: bool
) -> None:
    """What a recorder has put in between may raise; the job's next run starts all the same."""
    bench, runs = Bench(), []
    submit = bench.executor._do_submit_job
    (run_time,) = moments(1)

    async def crawl() -> None:
        runs.append("run")

    def crawl_in_thread() -> None:
        runs.append("run")

    def fail() -> Iterator[datetime]:
        raise RuntimeError("no room for the row")
        yield run_time

    with monkeypatch.context() as patch:
        patch.setattr(bench.executor, "_do_submit_job", lambda job, _: submit(job, fail()))
        await bench.run(crawl_in_thread if in_thread else crawl, run_time)
    assert "no room for the row" in caplog.text
    job = bench.scheduler.get_job("crawl")
    bench.executor.submit_job(job, [run_time])
    await bench.idle()
    assert runs == ["run"]


@in_loop
async def test_a_closed_batch_is_taken_to_its_end_without_running() -> None:
    """So that a recorder's generator learns of each run time that was not run."""
    taken = []

    def each(run_times: list[datetime]) -> Iterator[datetime]:
        for run_time in run_times:
            taken.append(run_time)
            yield run_time

    run_times = moments(3)
    batch = Batch("crawl", run_times)
    batch.run_times = each(run_times)
    batch.closed = True
    assert list(batch) == []
    assert taken == run_times
    assert len(batch.not_started) == 3


@in_loop
async def test_a_manual_run_says_so_and_is_never_too_late() -> None:
    """It is told that it is manual, and no grace time drops it."""
    bench, seen = Bench(), []
    (long_ago,) = moments(1)
    for job_id, function in (
        ("a", lambda: seen.append(current_occurrence())),
        ("b", _noting(seen)),
    ):
        job = bench.job(function, id=job_id, misfire_grace_time=1)
        bench.executor.submit_occurrence(job, Occurrence(job_id, long_ago, manual=True))
        await bench.idle()
        bench.executor.submit_job(job, [long_ago])
        await bench.idle()
    assert seen == [Occurrence(job_id, long_ago, manual=True) for job_id in "ab"]
    assert [event.code for event in bench.events] == [EVENT_JOB_EXECUTED, EVENT_JOB_MISSED] * 2


def _noting(seen: list[Occurrence]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def crawl() -> None:
        seen.append(current_occurrence())

    return crawl


@in_loop
async def test_a_run_that_is_locked_out_is_a_line_and_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of several replicas all but one are locked out each time; that is no traceback."""
    caplog.set_level(logging.INFO, "apscheduler.executors")
    bench = Bench()

    async def crawl() -> None:
        raise LockedOutError("crawl@2026-05-09T18:00:00Z is held by node A")

    await bench.run(crawl, *moments(1))
    (line,) = [record for record in caplog.records if "locked out" in record.getMessage()]
    assert line.levelno == logging.INFO
    assert line.exc_info is None
    assert line.getMessage().endswith(
        "was locked out: crawl@2026-05-09T18:00:00Z is held by node A"
    )
    assert "Traceback" not in caplog.text
    assert isinstance(bench.events[0].exception, LockedOutError)


async def locked_out() -> None:
    """Stand for a job that another replica has."""
    raise LockedOutError("crawl@2026-05-09T18:00:00Z is held by node A")


def locked_out_in_a_thread() -> None:
    """Stand for the same in a plain function."""
    raise LockedOutError("crawl@2026-05-09T18:00:00Z is held by node A")


@pytest.mark.parametrize("job", [locked_out, locked_out_in_a_thread])
@in_loop
async def test_being_locked_out_is_an_event_of_its_own(job: Callable[..., object]) -> None:
    """Who listens to errors, or to all of APScheduler's events, does not hear of it."""
    bench = Bench()
    errors: list[JobExecutionEvent] = []
    everything: list[SchedulerEvent] = []
    bench.scheduler.add_listener(errors.append, EVENT_JOB_ERROR)
    bench.scheduler.add_listener(everything.append)
    await bench.run(job, *moments(2))
    assert [event.code for event in bench.events] == [EVENT_JOB_LOCKED_OUT] * 2
    for event, run_time in zip(bench.events, moments(2), strict=True):
        assert (event.job_id, event.scheduled_run_time) == ("crawl", run_time)
        assert isinstance(event.exception, LockedOutError)
    assert errors == []
    assert not [event for event in everything if isinstance(event, JobExecutionEvent)]


@pytest.mark.parametrize("error", [LeaseLostError("gone"), ValueError("bad"), KeyboardInterrupt()])
@in_loop
async def test_everything_else_stays_an_error(error: BaseException) -> None:
    """A lost lease, too: work was stopped."""
    bench = Bench()

    async def crawl() -> None:
        raise error

    await bench.run(crawl, *moments(1))
    assert [event.code for event in bench.events] == [EVENT_JOB_ERROR]


def test_the_code_is_a_bit_that_apscheduler_does_not_use() -> None:
    """With a newer one that takes it, listeners would mix the two up."""
    assert EVENT_JOB_LOCKED_OUT.bit_count() == 1
    assert not EVENT_JOB_LOCKED_OUT & EVENT_ALL
    used = [value for name, value in vars(events).items() if name.startswith("EVENT_")]
    assert EVENT_JOB_LOCKED_OUT not in used


@in_loop
async def test_a_run_that_lost_its_lease_is_a_warning_of_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where it was stopped is no fault of the job's, so there is no traceback."""
    bench = Bench()

    async def crawl() -> None:
        raise LeaseLostError("the lease of crawl@2026-05-09T18:00:00Z ran out")

    await bench.run(crawl, *moments(1))
    (line,) = caplog.records
    assert (line.levelno, line.exc_info) == (logging.WARNING, None)
    assert line.getMessage().endswith(
        "was stopped: the lease of crawl@2026-05-09T18:00:00Z ran out"
    )
    assert isinstance(bench.events[0].exception, LeaseLostError)


@in_loop
async def test_an_error_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Only being locked out is made quiet."""
    bench = Bench()

    def crawl() -> None:
        raise ValueError("no rows")

    await bench.run(crawl, *moments(1))
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert "raised an exception" in record.getMessage()


@in_loop
async def test_no_secret_of_a_job_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither its traceback nor the line of one that was locked out shows a key."""
    caplog.set_level(logging.INFO, "apscheduler.executors")
    bench = Bench()

    async def crawl() -> None:
        raise ValueError("401 of https://apis.data.go.kr/x?serviceKey=SECRET&pageNo=1")

    async def locked_out() -> None:
        raise LockedOutError("redis://:SECRET@cache is away")

    await bench.run(crawl, *moments(1))
    assert "serviceKey=***&pageNo=1" in caplog.text
    bench.executor.submit_job(bench.job(locked_out, id="locked out"), moments(1))
    await bench.idle()
    assert "redis://:***@cache" in caplog.text
    assert "SECRET" not in caplog.text


@in_loop
async def test_a_locked_out_run_is_silent_where_the_log_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A logger kept to warnings does not show the line either."""
    caplog.set_level(logging.WARNING, "apscheduler.executors")
    bench = Bench()

    def crawl() -> None:
        raise LockedOutError("held by node A")

    await bench.run(crawl, *moments(1))
    assert "locked out" not in caplog.text


@in_loop
async def test_plain_functions_leave_the_loops_own_threads_alone() -> None:
    """In those asyncio looks up host names: for the connection that renews a lease, say."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    bench, release = Bench(), threading.Event()

    def crawl() -> None:
        release.wait(10)

    bench.executor.submit_job(bench.job(crawl, max_instances=1), moments(1))
    try:
        found = await asyncio.wait_for(loop.getaddrinfo("127.0.0.1", 80), 5)
        assert found
        assert not release.is_set()
    finally:
        release.set()
    await bench.idle()
    assert [event.code for event in bench.events] == [EVENT_JOB_EXECUTED]


@in_loop
async def test_the_threads_have_a_number_and_wait_for_one_another() -> None:
    """With one thread, plain functions run one after another, and all of them run."""
    bench, running, most = Bench(), [0], [0]
    executor = OccurrenceExecutor(max_threads=1)
    bench.scheduler.add_executor(executor, "one")

    def crawl() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.001)
        running[0] -= 1

    job = bench.job(crawl, max_instances=5, executor="one")
    for _ in range(5):
        executor.submit_job(job, moments(1))
    while executor.batches:
        await asyncio.wait(list(executor.batches))
    assert most == [1]
    await asyncio.sleep(0)
    assert [event.code for event in bench.events] == [EVENT_JOB_EXECUTED] * 5


def test_as_many_threads_as_in_apscheduler_by_default() -> None:
    """A service that moves to this executor runs as many plain functions at once as before."""
    options = inspect.signature(pool.ThreadPoolExecutor).parameters
    assert OccurrenceExecutor().max_threads == options["max_workers"].default


def test_no_threads_are_refused() -> None:
    """When the executor is made, and not when the first plain function is due."""
    with pytest.raises(InvalidArgumentError, match=r"max_threads=0 .* write max_threads=1 or more"):
        OccurrenceExecutor(max_threads=0)


@in_loop
async def test_a_scheduler_that_is_started_again_has_threads_again() -> None:
    """A shutdown closes those of before."""
    scheduler = AsyncIOScheduler(timezone=UTC, executors={"default": OccurrenceExecutor()})
    for _ in range(2):
        ended = asyncio.Event()
        scheduler.start()
        scheduler.add_listener(lambda _event, ended=ended: ended.set(), EVENT_JOB_EXECUTED)
        scheduler.add_job(threading.get_ident, next_run_time=datetime.now(UTC))
        await asyncio.wait_for(ended.wait(), 10)
        scheduler.shutdown()
        await asyncio.sleep(0)
        assert not scheduler.running


class Crawler:
    """An object that is called, and awaited."""

    def __init__(self) -> None:
        self.ran = 0

    async def __call__(self) -> None:
        """Crawl once."""
        self.ran += 1

    async def method(self) -> None:
        """Crawl once, too."""
        self.ran += 1


@in_loop
async def test_an_object_with_an_async_call_is_awaited() -> None:
    """AsyncIOExecutor would call it in a thread, drop the coroutine and report success."""
    bench, crawler = Bench(), Crawler()
    await bench.run(crawler, *moments(2))
    assert crawler.ran == 2
    assert [event.code for event in bench.events] == [EVENT_JOB_EXECUTED] * 2


def test_what_can_be_seen_to_return_an_awaitable() -> None:
    """Through partial and __call__ as well; a lambda and an async generator cannot be seen."""

    async def generator() -> AsyncIterator[int]:
        yield 1

    crawler = Crawler()
    assert returns_awaitable(crawler)
    assert returns_awaitable(crawler.method)
    assert returns_awaitable(functools.partial(functools.partial(crawler.method)))
    assert returns_awaitable(functools.partial(crawler))
    assert not returns_awaitable(Crawler)
    assert not returns_awaitable(lambda: crawler())  # noqa: PLW0108 - the point
    assert not returns_awaitable(generator)
    assert not returns_awaitable(print)


def test_the_private_names_it_stands_on_are_there() -> None:
    """APScheduler may move its private names; then this says which one first."""
    assert list(inspect.signature(AsyncIOExecutor._do_submit_job).parameters) == [
        "self",
        "job",
        "run_times",
    ]
    assert list(inspect.signature(AsyncIOExecutor._run_job_success).parameters) == [
        "self",
        "job_id",
        "events",
    ]
    assert list(inspect.signature(AsyncIOExecutor._run_job_error).parameters) == [
        "self",
        "job_id",
        "exc",
        "traceback",
    ]
    assert "_jobstore_alias" in Job.__slots__
    assert "self._eventloop = scheduler._eventloop" in inspect.getsource(AsyncIOExecutor.start)
    assert "self._do_submit_job(job, run_times)" in inspect.getsource(BaseExecutor.submit_job)


def _raises(_self: object) -> Any:
    raise SystemExit(3)


_SETTABLE = property(_raises, lambda _self, _value: None)


@pytest.mark.parametrize(
    "name", ["__class__", "__notes__", "__cause__", "__context__", "__str__", "__traceback__"]
)
@pytest.mark.parametrize("in_thread", [False, True])
def test_an_error_that_cannot_be_read_ends_its_run_all_the_same(
    name: str, *, in_thread: bool
) -> None:
    """Its event comes, its slot is free again, and the log has one record of it."""
    method = _raises if name == "__str__" else _SETTABLE
    error = type("OddError", (Exception,), {name: method})

    async def crawl() -> None:
        raise error("page 7")

    def crawl_in_thread() -> None:
        raise error("page 7")

    async def main() -> list[int]:
        scheduler, codes = KSTScheduler(), []
        ended = asyncio.Event()

        def note(event: Any) -> None:
            codes.append(event.code)
            ended.set()

        scheduler.add_listener(note, EVENT_JOB_ERROR)
        job = crawl_in_thread if in_thread else crawl
        scheduler.add_job(job, at(kst(2099, 1, 1)), id="nps")
        scheduler.start()
        for _ in range(2):
            ended.clear()
            scheduler.run_now("nps")
            async with asyncio.timeout(10):
                await ended.wait()
        await scheduler.drain(1)
        return codes

    assert asyncio.run(main()) == [EVENT_JOB_ERROR] * 2
