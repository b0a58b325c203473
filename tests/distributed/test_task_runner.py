from __future__ import annotations

import asyncio
import functools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from procrastinate import RetryStrategy

from handed_off import MemoryQueue, fire, memory_queue
from in_loop import in_loop
from kst_scheduler.distributed import hand_off
from kst_scheduler.distributed.known_jobs import known_jobs
from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger import ClaimRequest, MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.replica import this_replica
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence, current_occurrence
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.factories import cron
from ledgers import expire, outcome
from odd_errors import PageError, classless_error
from replicas import SwitchedLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from kst_scheduler.ledger import Claim

MINUTE = timedelta(minutes=1)
SLOWLY = RetryStrategy(max_attempts=3, wait=10)


@pytest.fixture
def queue() -> Iterator[MemoryQueue]:
    """Yield a queue in memory, and its worker."""
    with memory_queue() as queue:
        yield queue


@pytest.fixture
def due() -> Occurrence:
    """Return an occurrence of some seconds ago."""
    return Occurrence("nps", datetime.now(KST).replace(microsecond=0) - timedelta(seconds=5))


def failing(times: int, error: Exception | None = None) -> Callable[[], Coroutine[Any, Any, int]]:
    """Return a job that fails so often, and then finds seven rows."""
    left = [times]

    async def job() -> int:
        left[0] -= 1
        if left[0] >= 0:
            raise error or ValueError("no such page")
        return 7

    return job


async def claimed(queue: MemoryQueue, of: Occurrence, lease: timedelta = MINUTE) -> Claim:
    """Claim an occurrence as another worker, which is then at work."""
    return await queue.ledger.claim(ClaimRequest(of, "other", lease, datetime.now(UTC)))


def waits(task: dict[str, Any]) -> float:
    """Return for how many seconds a task waits in the queue."""
    assert task["status"] == "todo"
    seconds: float = (task["scheduled_at"] - datetime.now(UTC)).total_seconds()
    return seconds


@in_loop
async def test_a_worker_runs_what_was_handed_off(queue: MemoryQueue, due: Occurrence) -> None:
    """The row is its own; the task is gone, as the ledger has what became of it."""
    seen: list[Occurrence] = []

    async def job() -> int:
        seen.append(current_occurrence())
        return 7

    await fire(queue.add(job), due)
    await queue.work()
    row = await queue.row()
    assert (row.status, row.attempt, row.instance, row.rows) == ("ok", 1, "W", 7)
    assert row.occurrence == due
    assert queue.tasks() == []
    assert seen == [due]
    assert seen[0].scheduled_at.tzinfo is not UTC  # as where its scheduler runs it
    assert seen[0].scheduled_at.utcoffset() == timedelta(hours=9)


@in_loop
async def test_the_arguments_are_those_of_the_worker_s_code(
    queue: MemoryQueue, due: Occurrence
) -> None:
    """Those that the job is added with, and those of functools.partial around it."""
    seen: list[tuple[int, ...]] = []

    async def job(*pages: int, more: int = 9) -> None:
        seen.append((*pages, more))

    handed = queue.add(job, job_id="unused")
    partial = functools.partial(handed, 1, more=3)
    queue.scheduler.add_job(partial, cron(hour=3), [2], id="nps")
    await queue.put(due)
    await queue.work()
    assert seen == [(1, 2, 3)]


@in_loop
async def test_a_run_by_hand_has_its_own_row(queue: MemoryQueue) -> None:
    """And is never too late."""
    by_hand = Occurrence("nps", datetime.now(KST) - timedelta(days=9), manual=True)
    await fire(queue.add(failing(0)), by_hand)
    await queue.work()
    assert (await queue.row()).occurrence == by_hand
    assert (await queue.row()).status == "ok"


@in_loop
async def test_a_job_that_is_no_longer_handed_off_is_run_all_the_same(
    queue: MemoryQueue, due: Occurrence
) -> None:
    """What waits of it in the queue was promised to be run."""
    job = once(queue.ledger, catch_up=MINUTE)(failing(0))
    queue.scheduler.add_job(job, cron(hour=3), id="nps")
    await queue.put(due)
    await queue.work()
    assert (await queue.row()).status == "ok"


class Crawler:
    """A job that is a method, as its pages differ from one object to another."""

    def __init__(self, pages: int) -> None:
        self.pages = pages

    async def crawl(self, more: int = 0) -> int:
        """Return how many rows were found."""
        return self.pages + more


def class_of(ledger: MemoryLedger) -> type[Crawler]:
    """Return a class whose method is run once, and a class method."""

    class Decorated(Crawler):
        crawl = once(ledger, catch_up=MINUTE)(Crawler.crawl)

        @classmethod
        @once(ledger, catch_up=MINUTE)
        async def crawl_all(cls, more: int) -> int:
            return len(cls.__mro__) + more

    return Decorated


METHODS: dict[str, Callable[[MemoryQueue], tuple[Any, int]]] = {
    "once of a bound method": lambda queue: (
        hand_off(once(queue.ledger, catch_up=MINUTE)(Crawler(7).crawl), queue.app),
        7,
    ),
    "a bound method of once": lambda queue: (
        hand_off(class_of(queue.ledger)(7).crawl, queue.app),  # type: ignore[arg-type]
        7,
    ),
    "and arguments": lambda queue: (
        functools.partial(
            hand_off(class_of(queue.ledger)(7).crawl, queue.app),  # type: ignore[arg-type]
            more=1,
        ),
        8,
    ),
    "a class method": lambda queue: (
        functools.partial(
            hand_off(class_of(queue.ledger).crawl_all, queue.app),  # type: ignore[attr-defined]
            4,
        ),
        7,
    ),
    "a bound method that was handed off in its class": lambda queue: (
        type(
            "Handed",
            (Crawler,),
            {"crawl": hand_off(class_of(queue.ledger).crawl, queue.app)},  # type: ignore[arg-type]
        )(7).crawl,
        7,
    ),
    "no longer handed off": lambda queue: (class_of(queue.ledger)(7).crawl, 7),
}


@pytest.mark.parametrize("name", METHODS)
@in_loop
async def test_a_method_is_run_with_its_object(
    queue: MemoryQueue, due: Occurrence, name: str
) -> None:
    """The worker's own object, wherever the method was bound to it."""
    job, rows = METHODS[name](queue)
    queue.scheduler.add_job(job, cron(hour=3), id="nps")
    await queue.put(due)
    await queue.work()
    row = await queue.row()
    assert (row.status, row.error, row.rows) == ("ok", None, rows)


# --- what a worker cannot run -----------------------------------------------------------------


@in_loop
async def test_a_job_that_the_worker_does_not_know_is_kept(
    queue: MemoryQueue, due: Occurrence, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says which, where and what to do; a worker that knows the job runs it."""
    await queue.put(due)
    for _ in range(3):
        queue.wait_is_over()
        await queue.work()
        assert 55 < waits(queue.task()) <= 60
    (line,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert line.message == (
        f"worker {this_replica()} cannot run task 1: this one has no job 'nps'. It is kept, and "
        "tried again every 60 s: start a worker with the code that put it there, or cancel the task"
    )
    assert await queue.ledger.rows() == []
    queue.add(failing(0))
    queue.wait_is_over()
    await queue.work()
    assert (await queue.row()).status == "ok"


@in_loop
async def test_a_later_payload_is_kept(
    queue: MemoryQueue, due: Occurrence, caplog: pytest.LogCaptureFixture
) -> None:
    """For a worker that can read it."""
    queue.add(failing(0))
    await queue.put(due, version=2, pages=[1, 2])
    await queue.work()
    assert 55 < waits(queue.task()) <= 60
    assert "cannot run task 1: its version is 2, and this one reads up to 1. It is" in caplog.text


@in_loop
async def test_a_malformed_payload_fails(
    queue: MemoryQueue, due: Occurrence, caplog: pytest.LogCaptureFixture
) -> None:
    """At once, with the reason; it stays in the table of tasks as failed."""
    queue.add(failing(0))
    await queue.put(due, scheduled_at="three o'clock")
    await queue.work()
    assert queue.task()["status"] == "failed"
    assert "the task's arguments are none that hand_off wrote, and it does not run" in caplog.text
    assert await queue.ledger.rows() == []


@in_loop
async def test_another_program_s_worker_keeps_everything(
    queue: MemoryQueue, due: Occurrence
) -> None:
    """Started without a runner, as by Procrastinate's own command."""
    await queue.put(due)
    await queue.app.run_worker_async(wait=False, listen_notify=False, install_signal_handlers=False)
    assert queue.task()["status"] == "todo"


# --- too late ---------------------------------------------------------------------------------


@in_loop
async def test_what_waited_longer_than_its_window_is_missed(
    queue: MemoryQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """A row says so, and the job does not run."""
    long_ago = Occurrence("nps", datetime.now(KST).replace(microsecond=0) - timedelta(hours=2))
    await fire(queue.add(failing(0)), long_ago)
    await queue.work()
    row = await queue.row()
    assert (row.status, row.attempt, row.instance) == ("missed", 0, "W")
    assert row.error is not None
    assert row.error.startswith("2:00:0")
    assert row.error.endswith(" late, catch-up window 1:00:00; it waited for a worker")
    assert queue.tasks() == []
    assert f"{long_ago} was missed: 2:00:0" in caplog.text


@in_loop
async def test_a_clock_that_was_set_makes_nothing_too_late(
    queue: MemoryQueue, due: Occurrence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the clock of this host, and is days ahead; the worker has read it before."""
    queue.add(failing(0))
    queue.add(failing(0), job_id="before")
    await queue.put(Occurrence("before", due.scheduled_at))
    await queue.work()
    now = queue.ledger.now

    async def ahead() -> datetime:
        return await now() + timedelta(days=3)

    monkeypatch.setattr(queue.ledger, "now", ahead)
    await queue.put(due)
    await queue.work()
    assert [row.status for row in await queue.ledger.rows()] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("options", "grace", "expected"),
    [
        ({"catch_up": timedelta(hours=6)}, {"misfire_grace_time": 60}, timedelta(hours=6)),
        ({}, {"misfire_grace_time": 60}, timedelta(seconds=60)),
        ({}, {}, timedelta(seconds=300)),
        ({}, {"misfire_grace_time": None}, None),
    ],
)
def test_the_window_is_that_of_the_reconciler(
    options: dict[str, Any], grace: dict[str, Any], expected: timedelta | None
) -> None:
    """``catch_up``, the job's own grace time, or the scheduler's, though that never starts."""
    scheduler = KSTScheduler()
    job = once(MemoryLedger(), **options)(failing(0))
    scheduler.add_job(job, cron(hour=3), id="nps", **grace)
    assert known_jobs(scheduler)["nps"].window == expected


# --- who comes second -------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize("status", ["ok", "error", "cancelled"])
async def test_a_row_that_has_its_end_is_left_alone(
    queue: MemoryQueue, due: Occurrence, status: str
) -> None:
    """A late replica's task is done; a failure is tried again by the task that had it only."""
    await fire(queue.add(failing(0), retry=3), due)
    await queue.ledger.finish(await claimed(queue, due), outcome(status))
    await queue.work()
    row = await queue.row()
    assert (row.status, row.instance, row.attempt) == (status, "other", 1)
    assert queue.tasks() == []


@in_loop
async def test_a_run_in_progress_is_looked_at_again_after_its_lease(
    queue: MemoryQueue, due: Occurrence
) -> None:
    """Its worker may be dead; then the row is taken over, as attempt 2."""
    await fire(queue.add(failing(0)), due)
    claim = await claimed(queue, due)
    await queue.work()
    assert 50 < waits(queue.task()) <= 60
    await expire(queue.ledger, claim)
    queue.wait_is_over()
    await queue.work()
    row = await queue.row()
    assert (row.status, row.attempt, row.instance) == ("ok", 2, "W")
    assert row.error is not None
    assert row.error.startswith("attempt 1 on other lost its lease")


@in_loop
async def test_a_lease_that_only_this_host_takes_for_over_is_waited_for(
    queue: MemoryQueue, due: Occurrence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger's clock is two minutes behind: nothing is gained by asking every second."""

    def behind() -> datetime:
        return datetime.now(UTC) - timedelta(minutes=2)

    monkeypatch.setattr(queue.ledger._rows, "now", behind)
    await fire(queue.add(failing(0)), due)
    await claimed(queue, due)
    await queue.work()
    assert 50 < waits(queue.task()) <= 60


@in_loop
async def test_a_second_task_for_a_run_in_progress_is_done(
    queue: MemoryQueue, due: Occurrence
) -> None:
    """The task that is being worked on looks after it."""
    handed = queue.add(failing(0))
    await fire(handed, due)
    queue.task()["status"] = "doing"
    await claimed(queue, due)
    await fire(handed, due)
    await queue.work()
    assert queue.task()["status"] == "doing"


@in_loop
async def test_another_run_of_the_job_makes_it_skipped(queue: MemoryQueue, due: Occurrence) -> None:
    """As where the scheduler runs it; a Reconciler may catch it up."""
    before = replace(due, scheduled_at=due.scheduled_at - MINUTE)
    await claimed(queue, before)
    await fire(queue.add(failing(0)), due)
    await queue.work()
    rows = {row.occurrence: row.status for row in await queue.ledger.rows()}
    assert rows == {before: "running", due: "skipped"}
    assert queue.tasks() == []


@in_loop
async def test_a_job_that_is_locked_out_inside_is_skipped(
    queue: MemoryQueue, due: Occurrence
) -> None:
    """Its lock is busy, say: that is no failure, and not tried again."""
    await fire(queue.add(failing(1, LockedOutError("the lock is busy")), retry=3), due)
    await queue.work()
    assert (await queue.row()).status == "skipped"
    assert queue.tasks() == []


# --- retries ----------------------------------------------------------------------------------


@in_loop
async def test_each_retry_is_an_attempt_of_the_same_row(
    queue: MemoryQueue, due: Occurrence, caplog: pytest.LogCaptureFixture
) -> None:
    """When, says Procrastinate's strategy; the row says how the attempt before ended."""
    strategy = RetryStrategy(max_attempts=2, wait=10, linear_wait=20)
    await fire(queue.add(failing(2), retry=strategy), due)
    for attempt, pause in ((1, 10), (2, 30)):
        await queue.work()
        row = await queue.row()
        assert (row.status, row.attempt) == ("error", attempt)
        assert pause - 5 < waits(queue.task()) <= pause
        assert f"{due} failed in attempt {attempt}, and is tried again at " in caplog.text
        queue.wait_is_over()
    await queue.work()
    row = await queue.row()
    assert (row.status, row.attempt, row.rows) == ("ok", 3, 7)
    assert row.error == "attempt 2 on W ended as error: ValueError('no such page')"
    assert queue.tasks() == []


@in_loop
@pytest.mark.parametrize(("retry", "attempts"), [(None, 1), (2, 3)])
async def test_what_is_not_tried_again_has_failed(
    queue: MemoryQueue, due: Occurrence, retry: int | None, attempts: int
) -> None:
    """As a row and as a task, and whoever puts it into the queue again changes nothing."""
    handed = queue.add(failing(99), retry=retry)
    await fire(handed, due)
    for _ in range(5):
        queue.wait_is_over()
        await queue.work()
    assert queue.task()["status"] == "failed"
    await fire(handed, due)
    await queue.work()
    row = await queue.row()
    assert (row.status, row.attempt) == ("error", attempts)


@pytest.mark.parametrize("make", [classless_error, GeneratorExit, lambda: PageError(7)])
@pytest.mark.parametrize("retry", [None, 1])
@in_loop
async def test_the_task_of_an_odd_error_ends(
    queue: MemoryQueue, due: Occurrence, make: Callable[[], BaseException], retry: int | None
) -> None:
    """As a row and as a task: Procrastinate asks of each error what kind it is."""
    ran: list[int] = []

    async def job() -> None:
        ran.append(1)
        raise make()

    handed = queue.add(job, retry=retry)
    await fire(handed, due)
    for _ in range(3):
        queue.wait_is_over()
        await queue.work()
    assert queue.task()["status"] == "failed"
    assert (await queue.row()).status == "error"
    assert len(ran) <= 2


@in_loop
async def test_only_attempts_count(queue: MemoryQueue, due: Occurrence) -> None:
    """Not how often the task was kept, or looked at again."""
    await queue.put(due)
    for _ in range(5):
        queue.wait_is_over()
        await queue.work()
    queue.add(failing(1), retry=1)
    for _ in range(2):
        queue.wait_is_over()
        await queue.work()
    row = await queue.row()
    assert (row.status, row.attempt) == ("ok", 2)


@in_loop
async def test_a_retry_waits_behind_another_run_of_the_job(
    queue: MemoryQueue, due: Occurrence
) -> None:
    """It is put off by a lease, and not lost."""
    await fire(queue.add(failing(1), retry=SLOWLY), due)
    await queue.work()
    later = await claimed(queue, replace(due, scheduled_at=due.scheduled_at + timedelta(seconds=1)))
    queue.wait_is_over()
    await queue.work()
    assert 50 < waits(queue.task()) <= 60
    await queue.ledger.finish(later, outcome())
    queue.wait_is_over()
    await queue.work()
    rows = {row.occurrence: (row.status, row.attempt) for row in await queue.ledger.rows()}
    assert rows[due] == ("ok", 2)


@in_loop
async def test_a_retry_beyond_the_window_is_not_made(queue: MemoryQueue) -> None:
    """The error is the end of it."""
    old = Occurrence("nps", datetime.now(KST) - timedelta(seconds=59))
    await fire(queue.add(failing(1), retry=SLOWLY, catch_up=MINUTE), old)
    await queue.work()
    queue.scheduler.remove_job("nps")
    queue.add(failing(0), retry=3, catch_up=timedelta(seconds=1))
    queue.wait_is_over()
    await queue.work()
    assert (await queue.row()).status == "error"
    assert queue.tasks() == []


# --- cut, lost, away --------------------------------------------------------------------------


async def cut_in_the_middle(queue: MemoryQueue, of: Occurrence, **options: Any) -> None:
    """Cut the worker's first run when it is at work."""
    started = asyncio.Event()

    async def job() -> int:
        if not started.is_set():
            started.set()
            await asyncio.sleep(60)
        return 7

    await fire(queue.add(job, **options), of)
    working = asyncio.create_task(queue.work())
    await started.wait()
    assert queue.runner.at_work == 1
    queue.runner.cancel_all()
    await working


@in_loop
async def test_what_a_worker_cuts_waits_again(queue: MemoryQueue, due: Occurrence) -> None:
    """For the next one, and its row has a further attempt."""
    await cut_in_the_middle(queue, due)
    row = await queue.row()
    assert (row.status, row.attempt) == ("ok", 2)  # taken at once, as here is no other worker
    assert row.error == "attempt 1 on W ended as cancelled"


@in_loop
async def test_a_cut_that_comes_after_the_work_does_not_repeat_it(
    queue: MemoryQueue, due: Occurrence
) -> None:
    """The lease is being given back then: what is done is done, and its row says so."""
    runs = []

    async def job() -> int:
        runs.append(1)
        if len(runs) == 1:
            queue.runner.cancel_all()
        return 7

    await fire(queue.add(job), due)
    await queue.work()
    row = await queue.row()
    assert (row.status, row.attempt, row.rows) == ("ok", 1, 7)
    assert (len(runs), queue.tasks()) == (1, [])


class SlowToClaim(MemoryLedger):
    """A ledger that is slow to answer a claim until the claim was cut once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def claim(self, request: ClaimRequest) -> Claim:
        """Answer when nobody has waited for the answer yet."""
        if not self.asked.is_set():
            self.asked.set()
            await asyncio.sleep(60)
        return await super().claim(request)


@in_loop
async def test_a_cut_before_the_claim_repeats_nothing_that_another_ended(due: Occurrence) -> None:
    """The run failed on another worker, for good; a second task for it was being taken up."""
    ledger = SlowToClaim()
    claim = await MemoryLedger.claim(ledger, ClaimRequest(due, "other", MINUTE, datetime.now(UTC)))
    await ledger.finish(claim, outcome("error", error="no such page"))
    with memory_queue(ledger) as queue:
        await fire(queue.add(failing(0)), due)
        working = asyncio.create_task(queue.work())
        await ledger.asked.wait()
        queue.runner.cancel_all()
        await working
        row = await queue.row()
        assert (row.status, row.attempt, queue.tasks()) == ("error", 1, [])


@in_loop
async def test_what_must_not_be_repeated_is_cut_for_good(
    queue: MemoryQueue, due: Occurrence
) -> None:
    """Its row is cancelled, and its task is done."""
    await cut_in_the_middle(queue, due, repeatable=False)
    assert (await queue.row()).status == "cancelled"
    assert queue.tasks() == []


@in_loop
async def test_a_run_that_loses_its_lease_is_made_again(
    due: Occurrence, caplog: pytest.LogCaptureFixture
) -> None:
    """By the worker that gets the row; here the same one. The log says what happened."""
    renewals = [0]

    async def job() -> int:
        renewals[0] += 1
        if renewals[0] == 1:
            await asyncio.sleep(60)
        return 7

    ledger = SwitchedLedger(away=lambda name, _: name == "renew")
    with memory_queue(ledger) as queue:
        await fire(queue.add(job, lease=timedelta(seconds=0.1)), due)
        await queue.work()
        assert (await queue.row()).status == "running"
        assert waits(queue.task()) <= 1
        assert f"{due} was stopped: LeaseLostError(" in caplog.text
        # A run is stopped a moment before its row is free, of which nobody is told.
        while not await ledger.abandoned():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        queue.wait_is_over()
        await queue.work()
        row = await queue.row()
    assert (row.status, row.attempt) == ("ok", 2)


@in_loop
async def test_while_the_ledger_is_away_the_task_waits(due: Occurrence) -> None:
    """Nothing was begun, so nothing is lost."""
    away = [True]
    ledger = SwitchedLedger(away=lambda name, _: name == "claim" and away[0])
    with memory_queue(ledger) as queue:
        await fire(queue.add(failing(0), patience=timedelta(seconds=0.1)), due)
        await queue.work()
        assert 3 < waits(queue.task()) <= 5
        assert queue.task()["lock"] is None
        away[0] = False
        queue.wait_is_over()
        await queue.work()
        assert (await queue.row()).status == "ok"
