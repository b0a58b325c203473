from __future__ import annotations

import asyncio
import functools
import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.base import BaseExecutor, run_coroutine_job, run_job
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler

from kst_scheduler.errors import InvalidArgumentError, LeaseLostError, LockedOutError
from kst_scheduler.runs.recorder import MAX_ROWS, RunRecorder
from kst_scheduler.runs.table import RunLog
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

LIBRARY_GET_RUN_TIMES = Job._get_run_times


def backlog(scheduler: Any, function: Any, **options: Any) -> None:
    """Add a job that was due four times when the scheduler starts, one second apart."""
    job = scheduler.add_job(function, "interval", seconds=1, id="job", **options)
    from datetime import datetime

    due = datetime.now(KST) - timedelta(seconds=3.5)
    job.modify(next_run_time=due)


def record(
    function: Any,
    scheduler: Callable[[], Any] = lambda: AsyncIOScheduler(timezone=KST),
    **options: Any,
) -> pd.DataFrame:
    """Run one backlog of four on a live scheduler until four rows are there."""

    async def main() -> pd.DataFrame:
        live = scheduler()
        recorder = RunRecorder(live, "live")
        live.start(paused=True)
        backlog(live, function, **options)
        live.resume()
        async with asyncio.timeout(5):
            while len(recorder.runs) < 4 or "running" in set(recorder.runs["status"]):  # noqa: ASYNC110 - for threads too
                await asyncio.sleep(0.005)
        runs = recorder.runs
        recorder.close()
        live.shutdown()
        await asyncio.sleep(0)
        return runs.iloc[:4]

    return asyncio.run(main())


async def nothing() -> None:
    """Do nothing."""


@pytest.mark.parametrize("scheduler", [lambda: AsyncIOScheduler(timezone=KST), KSTScheduler])
def test_coalesced_run_times_have_rows(scheduler: Callable[[], Any]) -> None:
    """The run times that APScheduler folds away without an event are in the table."""
    runs = record(nothing, scheduler, coalesce=True, misfire_grace_time=60)
    assert list(runs["status"]) == ["coalesced", "coalesced", "coalesced", "ok"]
    assert set(runs["node"]) == {"live"}
    assert runs["detail"].iloc[0].startswith("folded into the run of 20")


@pytest.mark.parametrize("scheduler", [lambda: AsyncIOScheduler(timezone=KST), KSTScheduler])
def test_missed_and_ok_in_one_backlog(scheduler: Callable[[], Any]) -> None:
    """Without coalescing, what is beyond the grace time is missed, and the rest runs."""
    runs = record(nothing, scheduler, coalesce=False, misfire_grace_time=2)
    assert list(runs["status"]) == ["missed", "missed", "ok", "ok"]
    assert runs["detail"].iloc[0].endswith("late, grace time 2 s")


def test_each_run_of_a_backlog_has_its_own_times() -> None:
    """A backlog's runs follow each other; APScheduler's events come only when all have ended."""

    async def work() -> None:
        await asyncio.sleep(0.01)

    runs = record(work, coalesce=False, misfire_grace_time=60)
    assert (runs["started_at"] < runs["finished_at"]).all()
    assert (runs["finished_at"].iloc[:-1].array <= runs["started_at"].iloc[1:].array).all()


def test_errors_have_their_text() -> None:
    """An exception is an error, LockedOutError is locked_out, LeaseLostError is cancelled."""
    errors = iter([ValueError("1st"), LockedOutError("B holds it"), LeaseLostError("gone"), None])

    async def fail() -> None:
        error = next(errors, None)
        if error is not None:
            raise error

    runs = record(fail, coalesce=False, misfire_grace_time=60)
    assert list(runs["status"]) == ["error", "locked_out", "cancelled", "ok"]
    assert list(runs["detail"]) == ["ValueError('1st')", "B holds it", "gone", ""]


@pytest.mark.parametrize(
    "scheduler",
    [
        lambda: AsyncIOScheduler(timezone=KST),
        lambda: AsyncIOScheduler(timezone=KST, executors={"default": ThreadPoolExecutor(2)}),
        lambda: BackgroundScheduler(timezone=KST),
        KSTScheduler,
    ],
)
def test_plain_functions_in_threads(scheduler: Callable[[], Any]) -> None:
    """Plain functions run in threads, on every kind of executor, and are recorded."""
    runs = record(lambda: None, scheduler, coalesce=False, misfire_grace_time=60)
    assert list(runs["status"]) == ["ok"] * 4


def test_running_cancelled_and_skipped() -> None:
    """A run in progress is running, one that falls due meanwhile skipped, a cut one cancelled."""

    async def main() -> tuple[pd.DataFrame, pd.DataFrame]:
        scheduler = KSTScheduler()
        recorder = RunRecorder(scheduler)
        started = asyncio.Event()

        async def work() -> None:
            started.set()
            await asyncio.sleep(60)

        scheduler.add_job(work, "date", id="work")
        scheduler.start()
        await started.wait()
        during = recorder.runs
        await scheduler.drain(0)
        recorder.close()
        return during, recorder.runs

    during, after = asyncio.run(main())
    assert list(during["status"]) == ["running"]
    assert during["finished_at"].isna().all()
    assert list(after["status"]) == ["cancelled"]
    assert after["finished_at"].notna().all()


def test_manual_runs_are_recorded() -> None:
    """A run that run_now starts is in the table, at the moment of asking."""

    async def main() -> tuple[Any, pd.DataFrame]:
        scheduler = KSTScheduler()
        recorder = RunRecorder(scheduler)
        scheduler.add_job(nothing, "cron", year=2099, id="work")
        scheduler.start()
        occurrence = scheduler.run_now("work")
        await asyncio.sleep(0.01)
        await scheduler.drain(1)
        recorder.close()
        return occurrence, recorder.runs

    occurrence, runs = asyncio.run(main())
    assert list(runs["status"]) == ["ok"]
    assert runs["scheduled_at"].item() == occurrence.scheduled_at


def test_what_a_drain_keeps_from_starting() -> None:
    """Run times of a backlog that a drain has cut are missed, and the detail says so."""

    async def main() -> pd.DataFrame:
        scheduler = KSTScheduler()
        recorder = RunRecorder(scheduler)
        started = asyncio.Event()

        async def work() -> None:
            started.set()
            await asyncio.sleep(0.01)

        scheduler.start(paused=True)
        backlog(scheduler, work, coalesce=False, misfire_grace_time=None)
        scheduler.resume()
        await started.wait()
        await scheduler.drain(5)
        recorder.close()
        return recorder.runs

    runs = asyncio.run(main())
    assert list(runs["status"].iloc[:4]) == ["ok", "missed", "missed", "missed"]
    assert runs["detail"].iloc[1] == "not started: the scheduler was drained"


def test_an_object_that_is_called_async() -> None:
    """KSTScheduler awaits an object with an async __call__, and its row ends when it has ended."""

    class Work:
        async def __call__(self) -> None:
            await asyncio.sleep(0.01)

    runs = record(Work(), KSTScheduler, coalesce=False, misfire_grace_time=60)
    assert ((runs["finished_at"] - runs["started_at"]) >= timedelta(seconds=0.01)).all()


def test_a_coroutine_that_nobody_awaits() -> None:
    """An async job on a BackgroundScheduler does nothing, so its row is an error."""
    background = functools.partial(BackgroundScheduler, timezone=KST)
    with pytest.warns(RuntimeWarning, match="never awaited"):
        runs = record(nothing, background, coalesce=False, misfire_grace_time=60)
    assert list(runs["status"]) == ["error"] * 4
    assert "nobody awaits it" in runs["detail"].iloc[0]


def test_a_result_that_lies_about_its_class() -> None:
    """To ask whether it is a coroutine runs no code of it, so its row is written."""

    class Liar:
        @property
        def __class__(self) -> Any:
            raise RuntimeError("no class")

        @__class__.setter
        def __class__(self, value: Any) -> None: ...

    background = functools.partial(BackgroundScheduler, timezone=KST)
    runs = record(Liar, background, coalesce=False, misfire_grace_time=60)
    assert list(runs["status"]) == ["ok"] * 4


@pytest.mark.parametrize("awaited", [True, False])
@pytest.mark.parametrize("is_odd", [True, False])
def test_an_error_that_lies_about_its_class_and_one_that_closes(
    awaited: bool, is_odd: bool
) -> None:
    """Each is the end of its run, in a task and in a thread: no row stays running."""

    class LiarError(Exception):
        @property
        def __class__(self) -> Any:
            raise RuntimeError("no class")

        @__class__.setter
        def __class__(self, value: Any) -> None: ...

    def work() -> None:
        raise LiarError("page") if is_odd else GeneratorExit("page")

    async def awaited_work() -> None:
        work()

    runs = record(awaited_work if awaited else work, KSTScheduler, coalesce=False)
    assert set(runs["status"]) == {"error"}
    assert set(runs["detail"]) == {f"{'LiarError' if is_odd else 'GeneratorExit'}('page')"}


def test_attaching_to_a_running_scheduler_and_closing() -> None:
    """A recorder may come late; closed, it leaves scheduler, executors and Job as they were."""

    async def main() -> None:
        scheduler = AsyncIOScheduler(timezone=KST)
        scheduler.start()
        executor = scheduler._executors["default"]
        recorder = RunRecorder(scheduler)
        assert "submit_job" in vars(executor)
        assert Job._get_run_times is not LIBRARY_GET_RUN_TIMES
        recorder.close()
        recorder.close()
        assert not {"submit_job", "_do_submit_job"} & vars(executor).keys()
        assert Job._get_run_times is LIBRARY_GET_RUN_TIMES
        scheduler.shutdown()

    asyncio.run(main())


def test_one_recorder_a_scheduler() -> None:
    """A second recorder on the same scheduler is refused; after close() there may be another."""
    scheduler = AsyncIOScheduler(timezone=KST)
    recorder = RunRecorder(scheduler)
    with pytest.raises(InvalidArgumentError, match=r"has a RunRecorder already; read its \.runs"):
        RunRecorder(scheduler)
    recorder.close()
    RunRecorder(scheduler).close()


def test_private_ground() -> None:
    """What the recorder stands on is still there: names, and the order of arguments."""
    assert list(inspect.signature(Job._get_run_times).parameters) == ["self", "now"]
    assert list(inspect.signature(BaseExecutor.submit_job).parameters) == [
        "self",
        "job",
        "run_times",
    ]
    assert list(inspect.signature(AsyncIOExecutor._do_submit_job).parameters) == [
        "self",
        "job",
        "run_times",
    ]
    for run in (run_job, run_coroutine_job):
        assert "for run_time in run_times:" in inspect.getsource(run)
    assert "_get_run_times(now)" in inspect.getsource(BaseScheduler._process_jobs)
    assert "_executors" in vars(AsyncIOScheduler())


def test_a_recorder_keeps_so_many_rows() -> None:
    """A service runs for years: neither the rows nor the jobs that are gone add up."""
    max_rows = 100
    recorder = RunRecorder(AsyncIOScheduler(timezone=KST), max_rows=max_rows)
    recorder.grace["running"] = None
    recorder.began("running", 0)
    for number in range(10 * max_rows):
        recorder.grace[f"once-{number}"] = None
        recorder.ended(recorder.began(f"once-{number}", number))
    assert max_rows <= len(recorder.runs) <= max_rows * 5 // 4 + 1
    assert len(recorder.grace) <= max_rows * 5 // 4 + 2
    assert {"running", f"once-{10 * max_rows - 1}"} <= set(recorder.grace)
    assert set(recorder.runs["status"]) == {"ok", "running"}


def test_without_a_limit_every_row_is_kept() -> None:
    """As in a simulation, whose log is its own affair."""
    recorder = RunRecorder(AsyncIOScheduler(timezone=KST), max_rows=None)
    for number in range(MAX_ROWS * 2):
        recorder.add("job", number, "ok")
    assert len(recorder.runs) == MAX_ROWS * 2
    shared = RunLog()
    other = RunRecorder(AsyncIOScheduler(timezone=KST), log=shared)
    for number in range(MAX_ROWS * 2):
        other.add("job", number, "ok")
    assert len(shared) == MAX_ROWS * 2


@pytest.mark.parametrize("max_rows", [0, -1])
def test_no_rows_are_refused(max_rows: int) -> None:
    """The message says what to write."""
    with pytest.raises(InvalidArgumentError, match=r"write max_rows=10_000, or None for all"):
        RunRecorder(AsyncIOScheduler(timezone=KST), max_rows=max_rows)
