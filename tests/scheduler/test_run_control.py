from __future__ import annotations

import asyncio
import inspect
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_SUBMITTED,
    JobEvent,
    JobSubmissionEvent,
)
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.base import STATE_PAUSED, STATE_RUNNING, BaseScheduler

from in_loop import in_loop
from kst_scheduler.errors import (
    InvalidArgumentError,
    NaiveDatetimeError,
    NotRunningError,
    UnknownJobError,
)
from kst_scheduler.runs.recorder import RunRecorder
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import AlreadyRunningError, Occurrence, current_occurrence
from kst_scheduler.simulation import ClockJump, Node, simulate
from kst_scheduler.simulation.world import LATE
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import at, cron, every
from shown_clock import clock_showing

ENDED = EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED
SUBMITTED = EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES


class Crawl:
    """A coroutine job that runs until it is released, and notes which occurrence it ran."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.seen: list[Occurrence] = []

    async def __call__(self) -> str:
        """Run."""
        self.seen.append(current_occurrence())
        await self.release.wait()
        return "rows"


class Bench:
    """A started scheduler, the events of its runs, and a job to run."""

    def __init__(self, **options: Any) -> None:
        self.scheduler = KSTScheduler(**options)
        self.events: list[JobEvent] = []
        self.scheduler.add_listener(self.events.append, SUBMITTED | ENDED)
        self.scheduler.start()
        self.crawl = Crawl()

    async def end(self) -> None:
        """Let every run end."""
        self.crawl.release.set()
        while self.scheduler.running_occurrences():  # noqa: ASYNC110 - nothing to wait for but it
            await asyncio.sleep(0)

    def codes(self) -> list[int]:
        """Return the events' codes, in order."""
        return [event.code for event in self.events]


@in_loop
async def test_a_run_starts_at_once_and_knows_that_it_is_manual() -> None:
    """It has an occurrence of its own, at the moment of asking, in the scheduler's zone."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl")
    before = datetime.now(UTC)
    occurrence = bench.scheduler.run_now("crawl")
    assert before <= occurrence.scheduled_at <= datetime.now(UTC)
    assert occurrence.scheduled_at.tzinfo == KST
    assert occurrence.manual
    await bench.end()
    assert bench.crawl.seen == [occurrence]


@in_loop
async def test_it_emits_the_same_events_as_any_run() -> None:
    """Submitted and executed, with the moment of asking as its run time."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl")
    run_time = bench.scheduler.run_now("crawl").scheduled_at
    await bench.end()
    submitted, executed = bench.events
    assert isinstance(submitted, JobSubmissionEvent)
    assert (submitted.code, submitted.scheduled_run_times) == (EVENT_JOB_SUBMITTED, [run_time])
    assert (executed.code, executed.scheduled_run_time) == (EVENT_JOB_EXECUTED, run_time)
    assert (executed.job_id, executed.jobstore, executed.retval) == ("crawl", "default", "rows")


@in_loop
async def test_a_recorder_sees_it() -> None:
    """It passes through the executor as scheduled runs do."""
    bench = Bench()
    recorder = RunRecorder(bench.scheduler)
    seen: list[Occurrence] = []

    async def crawl() -> None:
        seen.append(current_occurrence())

    bench.scheduler.add_job(crawl, cron(hour=3), id="crawl")
    occurrence = bench.scheduler.run_now("crawl")
    await bench.end()
    recorder.close()
    (row,) = recorder.runs.itertuples()
    assert (row.job_id, row.status) == ("crawl", "ok")
    assert row.scheduled_at == occurrence.scheduled_at
    assert seen == [occurrence]


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=1), timedelta(0)])
def test_a_clock_that_was_set_back_gives_manual_runs_its_date(back: timedelta) -> None:
    """They do not keep tomorrow's; and each has its own moment, though the clock repeats."""
    asked: list[Occurrence] = []
    wrong, right = kst(2026, 5, 10, 12) + back, kst(2026, 5, 10, 12)

    def register(scheduler: KSTScheduler) -> None:
        async def crawl() -> None:
            """Stand for a job."""

        scheduler.add_job(crawl, cron(hour=3), id="crawl", max_instances=9)
        loop = asyncio.get_running_loop()

        def ask_three_times() -> None:
            asked.extend(scheduler.run_now("crawl") for _ in range(3))

        loop.call_later(3600, ask_three_times)
        loop.call_later(3600 + 60 + back.total_seconds(), ask_three_times)

    node = Node("A", clock_offset=back.total_seconds())
    jump = ClockJump("A", kst(2026, 5, 10, 12, 0, 30), -back.total_seconds())
    incidents = [jump] if back else []
    end = right + back + timedelta(hours=2)
    simulate(register, right - timedelta(hours=1), end, nodes=[node], incidents=incidents)
    moments = [occurrence.scheduled_at for occurrence in asked]
    assert len(set(moments)) == 6
    assert [moment - wrong for moment in moments[:3]] == [
        timedelta(microseconds=LATE + n) for n in range(3)
    ]
    after = right + back + timedelta(minutes=1)
    assert all(timedelta(0) <= moment - after < timedelta(seconds=1) for moment in moments[3:])


@in_loop
async def test_manual_runs_of_a_repeated_moment_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A clock set back comes by the very microsecond of an earlier run."""
    times = [kst(2026, 5, 10, hour) for hour in (3, 4, 3, 4, 3)]

    bench, clock = Bench(), clock_showing(lambda: times.pop(0))
    monkeypatch.setattr("kst_scheduler.scheduler.run_control.datetime", clock)
    found = [bench.scheduler._manual_run_time() for _ in range(5)]
    microsecond = timedelta(microseconds=1)
    three, four = kst(2026, 5, 10, 3), kst(2026, 5, 10, 4)
    assert found == [
        three,
        four,
        three + microsecond,
        four + microsecond,
        three + 2 * microsecond,
    ]
    bench.scheduler.shutdown(wait=False)


@pytest.mark.parametrize(
    "trigger",
    [cron(hour=3), every(hours=5), at(kst(2099, 5, 10, 9))],
    ids=lambda trigger: type(trigger).__name__,
)
@in_loop
async def test_the_schedule_stays_as_it_was(trigger: Any) -> None:
    """The next run time, an interval's phase, and a one-shot job with its date."""
    bench = Bench()
    job = bench.scheduler.add_job(bench.crawl, trigger, id="crawl")
    before = job.next_run_time
    bench.scheduler.run_now("crawl")
    await bench.end()
    after = bench.scheduler.get_job("crawl")
    assert after.next_run_time == before
    assert after.trigger.get_next_fire_time(None, datetime.now(KST)) == before


@in_loop
async def test_a_paused_job_stays_paused() -> None:
    """It runs by hand all the same."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl").pause()
    bench.scheduler.run_now("crawl")
    await bench.end()
    assert bench.crawl.seen
    assert bench.scheduler.get_job("crawl").next_run_time is None


@in_loop
async def test_a_paused_scheduler_goes_on_when_it_is_resumed() -> None:
    """As APScheduler's own does."""
    scheduler = Bench().scheduler
    scheduler.pause()
    assert scheduler.state == STATE_PAUSED
    scheduler.resume()
    assert scheduler.state == STATE_RUNNING


@in_loop
async def test_a_paused_scheduler_still_runs_jobs_by_hand() -> None:
    """Pausing holds the schedule back, and nothing else."""
    bench = Bench()
    bench.scheduler.pause()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl")
    bench.scheduler.run_now("crawl")
    await bench.end()
    assert bench.crawl.seen


@in_loop
async def test_it_counts_against_max_instances_with_the_scheduled_runs() -> None:
    """A run by hand is refused while a scheduled one runs, and the error names that one."""
    bench = Bench()
    due = datetime.now(KST).replace(microsecond=0)
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl", next_run_time=due)
    bench.scheduler._process_jobs()
    scheduled = Occurrence("crawl", due)
    with pytest.raises(AlreadyRunningError) as error:
        bench.scheduler.run_now("crawl")
    assert error.value.running == (scheduled,)
    assert str(error.value) == (
        f"job 'crawl' already runs max_instances=1 time(s): {scheduled.key}; "
        "wait until a run has ended"
    )
    await bench.end()
    bench.scheduler.run_now("crawl")


@in_loop
async def test_a_scheduled_run_is_skipped_while_one_by_hand_is_in_progress() -> None:
    """The count works in both directions."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl")
    bench.scheduler.run_now("crawl")
    bench.scheduler.modify_job("crawl", next_run_time=datetime.now(KST))
    bench.scheduler._process_jobs()
    assert bench.codes() == [EVENT_JOB_SUBMITTED, EVENT_JOB_MAX_INSTANCES]
    await bench.end()


@in_loop
async def test_up_to_max_instances_run_at_once() -> None:
    """Each has a key of its own, even if the clock has not moved in between."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl", max_instances=100)
    started = [bench.scheduler.run_now("crawl") for _ in range(100)]
    assert len({occurrence.key for occurrence in started}) == 100
    assert bench.scheduler.running_occurrences("crawl") == tuple(started)
    with pytest.raises(AlreadyRunningError):
        bench.scheduler.run_now("crawl")
    await bench.end()


@in_loop
async def test_a_run_by_hand_is_never_too_late() -> None:
    """A loop that is busy for longer than the grace time delays it, and does not drop it."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl", misfire_grace_time=1)
    bench.scheduler._last_manual = datetime.now(KST) - timedelta(hours=1)
    long_ago = datetime.now(KST) - timedelta(minutes=30)
    bench.scheduler._manual_run_time = lambda: long_ago  # type: ignore[method-assign]
    assert bench.scheduler.run_now("crawl").scheduled_at == long_ago
    await bench.end()
    assert bench.codes() == [EVENT_JOB_SUBMITTED, EVENT_JOB_EXECUTED]


@in_loop
async def test_an_unknown_job_is_refused_by_name() -> None:
    """With the nearest one; a very long id is not repeated in full."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="daily-nps-crawl")
    with pytest.raises(UnknownJobError, match="id 'daily-crawl'; did you mean 'daily-nps-crawl'"):
        bench.scheduler.run_now("daily-crawl")
    with pytest.raises(UnknownJobError) as error:
        bench.scheduler.run_now("\x00x" * 500_000)
    assert len(str(error.value)) < 200


@in_loop
async def test_a_scheduler_that_does_not_run_is_refused() -> None:
    """Before the start and after the shutdown."""
    scheduler = KSTScheduler()
    scheduler.add_job(Crawl(), cron(hour=3), id="crawl")
    with pytest.raises(NotRunningError, match=r"does not run; call start\(\)"):
        scheduler.run_now("crawl")
    scheduler.start()
    await scheduler.drain(1)
    with pytest.raises(NotRunningError, match=r"does not run; call start\(\)"):
        scheduler.run_now("crawl")


@in_loop
async def test_another_thread_is_refused() -> None:
    """As in a plain def endpoint, which FastAPI runs in a thread."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl")
    with pytest.raises(NotRunningError, match="outside the scheduler's event loop"):
        await asyncio.to_thread(bench.scheduler.run_now, "crawl")
    assert not bench.scheduler.running_occurrences()


@in_loop
async def test_a_job_on_another_executor_runs_by_hand() -> None:
    """It counts and emits events there as well; which run blocks it, the pool does not say."""
    bench = Bench(executors={"threads": ThreadPoolExecutor(1)})
    release, ended = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    bench.scheduler.add_listener(lambda _: loop.call_soon_threadsafe(ended.set), ENDED)

    def crawl() -> str:
        assert release.wait(10)
        return "rows"

    bench.scheduler.add_job(crawl, cron(hour=3), id="crawl", executor="threads")
    bench.scheduler.run_now("crawl")
    with pytest.raises(AlreadyRunningError, match=r"max_instances=1 time\(s\); wait") as error:
        bench.scheduler.run_now("crawl")
    assert error.value.running == ()
    release.set()
    await asyncio.wait_for(ended.wait(), 10)
    assert bench.codes() == [EVENT_JOB_SUBMITTED, EVENT_JOB_EXECUTED]
    await bench.scheduler.drain(1)


@in_loop
async def test_a_job_whose_executor_is_missing_is_refused() -> None:
    """APScheduler removes such a job when it is due."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl", executor="thread")
    with pytest.raises(InvalidArgumentError, match="executor='thread', which is none; it knows"):
        bench.scheduler.run_now("crawl")


@in_loop
async def test_running_occurrences_are_those_in_progress() -> None:
    """Of all jobs, or of one."""
    bench = Bench()
    for job_id in ("a", "b"):
        bench.scheduler.add_job(bench.crawl, cron(hour=3), id=job_id)
    assert bench.scheduler.running_occurrences() == ()
    a, b = bench.scheduler.run_now("a"), bench.scheduler.run_now("b")
    assert bench.scheduler.running_occurrences() == (a, b)
    assert bench.scheduler.running_occurrences("b") == (b,)
    await bench.end()
    assert bench.scheduler.running_occurrences() == ()


@in_loop
async def test_a_run_that_fails_leaves_its_slot() -> None:
    """As any other run does."""
    bench = Bench()

    async def broken() -> None:
        raise ValueError("no rows")

    bench.scheduler.add_job(broken, cron(hour=3), id="crawl")
    for _ in range(2):
        bench.scheduler.run_now("crawl")
        await bench.end()
    assert bench.codes() == [EVENT_JOB_SUBMITTED, EVENT_JOB_ERROR] * 2


@in_loop
async def test_a_missed_run_starts_at_once_under_its_scheduled_time() -> None:
    """It is the scheduled occurrence and no manual one, and no grace time drops it."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl", misfire_grace_time=1)
    missed = kst(2020, 5, 10, 3)
    occurrence = bench.scheduler.run_missed("crawl", missed)
    await bench.end()
    assert occurrence == Occurrence("crawl", missed)
    assert bench.crawl.seen == [occurrence]
    submitted, executed = bench.events
    assert isinstance(submitted, JobSubmissionEvent)
    assert (submitted.code, submitted.scheduled_run_times) == (EVENT_JOB_SUBMITTED, [missed])
    assert (executed.code, executed.scheduled_run_time) == (EVENT_JOB_EXECUTED, missed)


@in_loop
async def test_a_missed_run_leaves_the_schedule_as_it_was() -> None:
    """The next run time stays, and the next scheduled run is held to its grace time again."""
    bench = Bench()
    job = bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl", misfire_grace_time=1)
    before = job.next_run_time
    bench.scheduler.run_missed("crawl", kst(2020, 5, 10, 3))
    await bench.end()
    assert job.next_run_time == before
    bench.scheduler.modify_job("crawl", next_run_time=datetime.now(KST) - timedelta(hours=1))
    bench.scheduler._process_jobs()
    await bench.end()
    assert bench.codes()[2:] == [EVENT_JOB_SUBMITTED, EVENT_JOB_MISSED]


@in_loop
async def test_a_missed_run_counts_against_max_instances() -> None:
    """It is refused while the job runs, and the error names the run that blocks it."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl")
    by_hand = bench.scheduler.run_now("crawl")
    with pytest.raises(AlreadyRunningError) as error:
        bench.scheduler.run_missed("crawl", kst(2020, 5, 10, 3))
    assert error.value.running == (by_hand,)
    await bench.end()


@in_loop
async def test_a_one_shot_job_is_made_up_for_once_it_has_left_the_job_store() -> None:
    """APScheduler removes it when its date has gone by, so it is passed as itself."""
    bench = Bench()
    date = kst(2020, 5, 10, 9)
    job = bench.scheduler.add_job(bench.crawl, at(date), id="crawl")
    bench.scheduler._process_jobs()
    await bench.end()
    assert bench.scheduler.get_job("crawl") is None
    with pytest.raises(UnknownJobError):
        bench.scheduler.run_missed("crawl", date)
    assert bench.scheduler.run_missed(job, date) == Occurrence("crawl", date)
    await bench.end()
    assert bench.codes() == [
        EVENT_JOB_SUBMITTED,
        EVENT_JOB_MISSED,
        EVENT_JOB_SUBMITTED,
        EVENT_JOB_EXECUTED,
    ]


@in_loop
async def test_a_missed_run_lies_in_the_past() -> None:
    """The future is not missed yet, and a naive time names no moment."""
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl")
    with pytest.raises(InvalidArgumentError, match=r"lies in the future.* or run_now"):
        bench.scheduler.run_missed("crawl", kst(2099, 5, 10, 3))
    with pytest.raises(NaiveDatetimeError, match=r"write kst\(2020, 5, 10, 3\)"):
        bench.scheduler.run_missed("crawl", datetime(2020, 5, 10, 3))  # noqa: DTZ001 - the fault


@in_loop
async def test_a_missed_run_may_start_from_its_time_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a microsecond before."""
    three = kst(2026, 5, 10, 3)
    now = three - timedelta(microseconds=1)

    bench, clock = Bench(), clock_showing(lambda: now)
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl")
    monkeypatch.setattr("kst_scheduler.scheduler.run_control.datetime", clock)
    with pytest.raises(InvalidArgumentError, match="lies in the future"):
        bench.scheduler.run_missed("crawl", three)
    now = three
    assert bench.scheduler.run_missed("crawl", three) == Occurrence("crawl", three)
    await bench.end()


@in_loop
async def test_a_missed_run_needs_an_executor_that_tells_the_job() -> None:
    """A thread pool would hold it to its grace time, and tell it nothing."""
    bench = Bench(executors={"threads": ThreadPoolExecutor(1)})
    bench.scheduler.add_job(lambda: None, cron(hour=3), id="crawl", executor="threads")
    with pytest.raises(InvalidArgumentError, match="executor='threads', which does not tell"):
        bench.scheduler.run_missed("crawl", kst(2020, 5, 10, 3))
    await bench.scheduler.drain(1)


@in_loop
async def test_a_missed_run_is_refused_where_nothing_runs() -> None:
    """Before the start, and in another thread."""
    scheduler = KSTScheduler()
    with pytest.raises(NotRunningError, match=r"does not run; call start\(\)"):
        scheduler.run_missed("crawl", kst(2020, 5, 10, 3))
    bench = Bench()
    bench.scheduler.add_job(bench.crawl, cron(hour=3), id="crawl")
    with pytest.raises(NotRunningError, match=r"run_missed\(\) was called outside"):
        await asyncio.to_thread(bench.scheduler.run_missed, "crawl", kst(2020, 5, 10, 3))


def test_the_private_names_it_stands_on_are_there() -> None:
    """APScheduler may move its private names; then this says which one first."""
    assert "executor.submit_job(job, run_times)" in inspect.getsource(BaseScheduler._process_jobs)
    assert list(inspect.signature(BaseScheduler._dispatch_event).parameters) == ["self", "event"]
    start = inspect.getsource(BaseScheduler.start)
    assert 'self.add_executor(self._create_default_executor(), "default")' in start
