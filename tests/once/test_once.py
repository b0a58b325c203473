from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from apscheduler.util import obj_to_ref, ref_to_obj

from in_loop import in_loop
from kst_scheduler.errors import (
    InvalidArgumentError,
    LeaseLostError,
    LedgerUnavailableError,
    LockedOutError,
    NoOccurrenceError,
)
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.runs.table import duplicates
from kst_scheduler.scheduler.agreement import JobWarning
from kst_scheduler.scheduler.kept_writes import kept_writes
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import RUNNING, Occurrence
from kst_scheduler.simulation import ClockJump, Crash, Freeze, Node, current_node, simulate
from kst_scheduler.timezone import in_milliseconds, kst
from kst_scheduler.triggers.factories import at, cron
from odd_errors import PageError, classless_error
from replicas import NIGHT, Night, SwitchedLedger, crawl_for, in_shown_times, night, play, shown_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from kst_scheduler.ledger import Claim, ClaimRequest, LedgerRow, Outcome

THREE = kst(2026, 5, 10, 3)
MINUTE = timedelta(minutes=1)


@once(MemoryLedger())
async def module_job(month: str, pages: int = 1) -> int:
    """Crawl a month."""
    return len(month) * pages


class ObjectJob:
    """A job that is an object."""

    async def __call__(self) -> None:
        """Run."""


async def run(job: Callable[[], Awaitable[object]], scheduled_at: datetime = THREE) -> object:
    """Run a job as the executor does."""
    RUNNING.set(("nps", scheduled_at, False))
    return await job()


async def only_row(ledger: MemoryLedger) -> LedgerRow:
    """Return the ledger's only row."""
    (row,) = await ledger.rows()
    return row


# --- the decorated function -------------------------------------------------------------------


def test_the_job_stays_a_function_of_its_name() -> None:
    """APScheduler refers to it by module and name, so a job store can find it again."""
    assert obj_to_ref(module_job) == f"{__name__}:module_job"
    assert ref_to_obj(f"{__name__}:module_job") is module_job
    assert inspect.iscoroutinefunction(module_job)
    assert list(inspect.signature(module_job).parameters) == ["month", "pages"]
    assert module_job.__doc__ == "Crawl a month."


def test_an_object_would_be_referred_to_by_its_class() -> None:
    """Why it stays a function: APScheduler 3.11.3 would look for a class in the job's module."""
    assert obj_to_ref(ObjectJob()) == f"{__name__}:ObjectJob"


def test_how_it_is_run_can_be_read() -> None:
    """A Reconciler reads it, and so may anybody."""
    ledger = MemoryLedger()

    @once(ledger, lease=MINUTE, catch_up=2 * MINUTE, repeatable=False, instance="A")
    async def crawl() -> None:
        """Do nothing."""

    job = crawl.once
    assert job.ledger is ledger
    assert (job.lease, job.catch_up, job.repeatable) == (MINUTE, 2 * MINUTE, False)
    assert job.replica() == "A"


def test_a_plain_function_is_refused() -> None:
    """A thread cannot be stopped when its lease is lost."""

    def crawl() -> None:
        """Do nothing."""

    with pytest.raises(InvalidArgumentError, match=r"crawl' is not an async def.*to_thread"):
        once(MemoryLedger())(crawl)  # type: ignore[arg-type]


def test_a_forgotten_ledger_is_named() -> None:
    """@once without parentheses would otherwise be a job that never runs."""

    async def crawl() -> None:
        """Do nothing."""

    with pytest.raises(InvalidArgumentError, match=r"is not a ledger; write @once\("):
        once(crawl)  # type: ignore[arg-type]


def test_a_ledgers_class_is_no_ledger() -> None:
    """Each run would fail, as no object is there to claim on."""
    with pytest.raises(InvalidArgumentError, match=r"MemoryLedger'> is not a ledger"):
        once(MemoryLedger)  # type: ignore[arg-type]


@pytest.mark.parametrize("instance", ["x" * 501, "a\0b", "a\ud800", 5])
def test_an_instance_that_no_ledger_can_hold_is_refused(instance: Any) -> None:
    """Each run would fail."""
    with pytest.raises(InvalidArgumentError, match=r"^instance="):
        once(MemoryLedger(), instance=instance)


@pytest.mark.parametrize("lease", [timedelta.max, timedelta(days=366)])
def test_a_lease_without_an_end_is_refused(lease: timedelta) -> None:
    """Each run would fail in the sum of it and today; and a dead replica would keep its row."""
    with pytest.raises(InvalidArgumentError, match=r"^lease=.* a year"):
        once(MemoryLedger(), lease=lease)


def test_one_lock_for_all_runs_is_refused() -> None:
    """A context manager of contextlib can be entered once."""
    with pytest.raises(InvalidArgumentError, match="write lock=lambda: redis_lock"):
        once(MemoryLedger(), contextlib.nullcontext())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["lease", "catch_up", "patience"])
@pytest.mark.parametrize("span", [timedelta(0), -MINUTE, 60])
def test_a_span_of_time_is_a_positive_timedelta(name: str, span: Any) -> None:
    """Seconds are written as timedelta(seconds=60)."""
    with pytest.raises(InvalidArgumentError, match=rf"{name}=.* is not a positive timedelta"):
        once(MemoryLedger(), **{name: span})


@in_loop
async def test_outside_a_job_there_is_no_occurrence_to_run() -> None:
    """A test calls the function itself, which is not changed."""
    with pytest.raises(NoOccurrenceError):
        await module_job("202604")
    assert await module_job.__wrapped__("202604") == 6  # type: ignore[attr-defined]


# --- how a run ends ---------------------------------------------------------------------------


@in_loop
async def test_a_run_that_ends_well_has_its_row() -> None:
    """Its result is handed back, and stands in the row where it is a count."""
    ledger = MemoryLedger()
    before = datetime.now(UTC)
    assert await run(once(ledger, instance="A")(crawl_for(0))) == 7
    row = await only_row(ledger)
    assert (row.source, row.scheduled_at, row.trigger) == ("nps", THREE, "schedule")
    assert (row.status, row.rows, row.attempt, row.instance) == ("ok", 7, 1, "A")
    assert row.error is None
    assert row.claimed_at is not None
    assert row.finished_at is not None
    assert before <= row.claimed_at <= row.finished_at <= datetime.now(UTC)


@in_loop
async def test_arguments_reach_the_job() -> None:
    """As they were given to add_job."""
    result = await run(lambda: module_job("202604", pages=2))
    assert result == 12


@in_loop
async def test_an_error_goes_on_and_its_row_holds_no_password() -> None:
    """The scheduler sees the job's own exception."""
    ledger = MemoryLedger()

    async def crawl() -> None:
        raise ValueError("redis://:secret@cache:6379/0 has no rows")

    with pytest.raises(ValueError, match="has no rows"):
        await run(once(ledger)(crawl))
    row = await only_row(ledger)
    assert row.status == "error"
    assert row.error == "ValueError('redis://:***@cache:6379/0 has no rows')"


@in_loop
async def test_a_cancelled_run_says_so() -> None:
    """The lesson's `except Exception` leaves no row here."""
    ledger, started = MemoryLedger(), asyncio.Event()

    async def crawl() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(run(once(ledger)(crawl)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = await only_row(ledger)
    assert (row.status, row.error) == ("cancelled", None)


def cancel_here() -> None:
    """Cancel this task, as a drain does at any moment: it gets the error at its next await."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@contextlib.asynccontextmanager
async def lock_whose_release_is_cut() -> AsyncIterator[None]:
    """Wait for a server when it is released, and be cancelled meanwhile."""
    yield
    cancel_here()
    await asyncio.sleep(60)


@in_loop
async def test_a_cancellation_after_the_work_does_not_undo_it() -> None:
    """The lease, or the lock, is being given back then: the row is ok, and holds the result."""

    async def crawl() -> int:
        cancel_here()
        return 7

    async def crawl_under_lock() -> int:
        return 7

    for lock, job in ((None, crawl), (lock_whose_release_is_cut, crawl_under_lock)):
        ledger = MemoryLedger()
        assert await run(once(ledger, lock)(job)) == 7
        row = await only_row(ledger)
        assert (row.status, row.rows, row.error) == ("ok", 7, None)


@in_loop
async def test_a_cancellation_after_a_failure_does_not_hide_it() -> None:
    """The job's own error is in the row, and goes on."""

    async def crawl() -> None:
        cancel_here()
        raise ValueError("no such page")

    for lock in (None, lock_whose_release_is_cut):
        ledger = MemoryLedger()
        with pytest.raises(ValueError, match="no such page"):
            await run(once(ledger, lock)(crawl))
        row = await only_row(ledger)
        assert (row.status, row.error) == ("error", "ValueError('no such page')")


@in_loop
async def test_a_job_that_locks_itself_out_is_skipped() -> None:
    """As with a lock that the job takes itself; a later claim may have the occurrence."""
    ledger = MemoryLedger()

    async def crawl() -> None:
        raise LockedOutError("lock 'lock:nps' is held by another run")

    with pytest.raises(LockedOutError):
        await run(once(ledger)(crawl))
    row = await only_row(ledger)
    assert (row.status, row.error) == ("skipped", "lock 'lock:nps' is held by another run")
    assert await run(once(ledger)(crawl_for(0))) == 7
    assert (await only_row(ledger)).status == "ok"


@pytest.mark.parametrize(("early", "ran"), [(timedelta(minutes=5), 1), (timedelta(minutes=6), 0)])
@in_loop
async def test_an_occurrence_is_not_run_long_before_its_time(early: timedelta, ran: int) -> None:
    """The clock of this host is ahead of the ledger's; in its time it may still be run."""

    class Behind(MemoryLedger):
        async def now(self) -> datetime:
            return THREE - early

    ledger, runs = Behind(), list[bool]()

    @once(ledger)
    async def crawl() -> None:
        runs.append(True)

    with contextlib.nullcontext() if ran else pytest.raises(LockedOutError, match="has not come"):
        await run(crawl)
    assert len(runs) == len(await ledger.rows()) == ran


async def fail() -> None:
    """Find no page."""
    raise ValueError("no such page")


async def be_cut() -> None:
    """Be cancelled, as by a drain."""
    cancel_here()
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("job", "status"), [(crawl_for(0), "ok"), (fail, "error"), (be_cut, "cancelled")]
)
@in_loop
async def test_the_second_claim_is_locked_out(
    job: Callable[[], Awaitable[object]], status: str
) -> None:
    """Whatever the outcome of the first: the error says who had the run, and no row is written."""
    ledger = MemoryLedger()
    await asyncio.gather(run(once(ledger, instance="A")(job)), return_exceptions=True)
    reason = f"nps@2026-05-09T18:00:00Z was claimed by A: {status}"
    with pytest.raises(LockedOutError, match=reason):
        await run(once(ledger, instance="B")(crawl_for(0)))
    row = await only_row(ledger)
    assert (row.instance, row.status) == ("A", status)


class DeniedLedger(MemoryLedger):
    """A ledger whose database refuses each statement for a while, as where a right was revoked."""

    def __init__(self, start: float, end: float, names: Collection[str]) -> None:
        super().__init__()
        self._span, self._names = (start, end), names

    def _check(self, name: str) -> None:
        start, end = self._span
        if name in self._names and start <= asyncio.get_running_loop().time() < end:
            raise RuntimeError("permission denied for table crawl_runs (42501)")

    async def claim(self, request: ClaimRequest) -> Claim:
        """Claim, or fail."""
        self._check("claim")
        return await super().claim(request)

    async def renew(self, claim: Claim) -> bool:
        """Renew, or fail."""
        self._check("renew")
        return await super().renew(claim)

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Finish, or fail."""
        self._check("finish")
        return await super().finish(claim, outcome)

    async def abandoned(self) -> list[LedgerRow]:
        """Begin a look, or fail."""
        self._check("abandoned")
        return await super().abandoned()


ALL_STATEMENTS = ("claim", "renew", "finish", "abandoned")


@pytest.mark.parametrize("seconds", [40, 90])
def test_an_outcome_that_the_ledger_refuses_is_kept(
    seconds: float, our_log: pytest.LogCaptureFixture
) -> None:
    """Whatever the error: it is said at once, the work is done once, and its row is written."""
    runs: list[str] = []
    start = TWELVE - 110
    ledger = DeniedLedger(start, start + seconds, ALL_STATEMENTS)
    story = play(noted(runs, start + 10 - 3 * 3600), ledger=ledger, catch_up=timedelta(hours=2))
    assert len(runs) == 1
    assert (story.row().status, story.row().attempt) == ("ok", 1)
    (said,) = [each for each in our_log.records if "the row is" in each.getMessage()]
    assert said.levelno == logging.ERROR
    assert "42501" in said.getMessage()
    assert "it is kept" in said.getMessage()


def test_an_outcome_that_the_ledger_refuses_for_good_is_given_up(
    our_log: pytest.LogCaptureFixture,
) -> None:
    """After ten minutes, and the log says so: a refusal is most often one for ever."""
    ledger = DeniedLedger(0, math.inf, ["finish"])
    story = play(crawl_for(60), ledger=ledger, nodes=1, reconcile=False)
    assert list(story.runs["status"]) == ["ok"]
    kept, given_up = [each for each in our_log.records if each.levelno == logging.ERROR]
    assert '"status": "ok", "rows": 7' in kept.getMessage()
    assert "was not written: RuntimeError('permission denied" in given_up.getMessage()
    assert 600 <= given_up.created - kept.created <= 602


def test_an_outcome_that_is_refused_holds_up_none_of_another_job(
    our_log: pytest.LogCaptureFixture,
) -> None:
    """Only one row of the ledger cannot be written, and the other one is kept after it."""
    ledger = SwitchedLedger(away=during("finish", 10, 40))

    async def finish(claim: Claim, outcome: Outcome) -> bool:
        if claim.request.occurrence.job_id == "nps":
            raise RuntimeError("no row")
        return await SwitchedLedger.finish(ledger, claim, outcome)

    ledger.finish = finish  # type: ignore[method-assign]

    def add_other(scheduler: KSTScheduler) -> None:
        other = once(ledger, patience=timedelta(seconds=1))(crawl_for(600))
        scheduler.add_job(other, cron(hour=3), id="other")

    story = play(crawl_for(300), ledger=ledger, nodes=1, reconcile=False, then=add_other)
    assert [row.status for row in story.rows() if row.source == "other"] == ["ok"]
    assert "the outcome of other@2026-05-09T18:00:00Z was written, late" in our_log.text


class Hostile:
    """A result whose methods block for longer than the lease, and raise."""

    def __int__(self) -> NoReturn:
        time.sleep(90)
        raise RuntimeError("not a number")

    __index__ = __repr__ = __str__ = __bool__ = __int__


class HostileError(Exception):
    """An error that ends the process when it is shown."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class HostileLockedOutError(LockedOutError):
    """The same, from a lock of the job's own."""

    __str__ = HostileError.__str__


class HostileCancelledError(asyncio.CancelledError):
    """The same, from a task of the job's own."""

    __str__ = HostileError.__str__


@contextlib.asynccontextmanager
async def any_lock() -> AsyncIterator[None]:
    """Lock nothing."""
    yield


@pytest.mark.parametrize("lock", [None, any_lock])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (classless_error, "ClasslessError('page')"),
        (lambda: GeneratorExit("page"), "GeneratorExit('page')"),
        (lambda: PageError(7), "PageError(page=7)"),
    ],
)
def test_an_odd_error_is_the_end_of_its_run(
    make: Callable[[], BaseException], said: str, lock: Any
) -> None:
    """The reader's own error stands in the row and in the table, and the run is not repeated."""
    runs: list[str] = []

    async def crawl() -> None:
        runs.append(current_node())
        await asyncio.sleep(60)
        raise make()

    story = play(crawl, nodes=2, lock=lock, catch_up=timedelta(hours=1), until=night(5))
    assert len(runs) == 1
    assert (story.row().status, story.row().error, story.row().attempt) == ("error", said, 1)
    assert [run_.detail for run_ in story.seen("error", "running")] == [said]


def test_a_result_that_raises_when_it_is_read_runs_once() -> None:
    """The work is done; with a Reconciler it ran 361 times in these twelve hours."""
    runs = []

    async def crawl() -> Hostile:
        runs.append(shown_now())
        return Hostile()

    catch_up = timedelta(hours=6)
    story = play(crawl, at(THREE), until=night(15), catch_up=catch_up, start=night(2, 59))
    row = story.row()
    assert (row.status, row.rows, row.attempt) == ("ok", None, 1)
    assert runs == [night(3)]
    assert len(story.seen("ok")) == 1


@pytest.mark.parametrize(
    ("error", "status", "seen"),
    [
        (HostileError(), "error", "error"),
        (HostileCancelledError(), "cancelled", "cancelled"),
        (HostileLockedOutError(), "skipped", "locked_out"),
        (ValueError(10**5_000), "error", "error"),
        (KeyError("x" * 5_000_000), "error", "error"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_that_cannot_be_shown_has_its_row(
    error: BaseException, status: str, seen: str
) -> None:
    """In the ledger and in the table of runs; its text is cut, or says what is wrong with it."""

    async def crawl() -> None:
        raise error

    story = play(crawl, at(THREE), until=night(9), nodes=1, reconcile=False, start=night(2, 59))
    row = story.row()
    assert (row.status, row.attempt) == (status, 1)
    assert row.error is not None
    assert row.error.startswith(type(error).__name__)
    assert len(row.error) <= 2_000
    (run_,) = story.seen(seen)
    assert run_.detail.startswith(type(error).__name__)


def test_a_lock_whose_error_cannot_be_shown_skips_the_occurrence() -> None:
    """The lock's error is somebody else's code, too."""
    story = play(crawl_for(0), at(THREE), nodes=1, reconcile=False, lock=Lock(HostileError()))
    row = story.row()
    assert row.status == "skipped"
    assert row.error is not None
    assert "HostileError, which cannot be shown: SystemExit" in row.error


# --- a lock beside the ledger -----------------------------------------------------------------


class Lock:
    """A lock that notes what is done with it, and does as it is told."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.steps: list[str] = []

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """Hold it."""
        if self.failure:
            raise self.failure
        self.steps.append("taken")
        yield
        self.steps.append("released")


@in_loop
async def test_the_lock_is_held_while_the_job_runs() -> None:
    """It is taken after the claim, and given back before the end is written."""
    ledger, lock = SwitchedLedger(), Lock()

    async def crawl() -> None:
        lock.steps.append("crawled")

    await run(once(ledger, lock)(crawl))
    assert lock.steps == ["taken", "crawled", "released"]
    assert [name for name, _ in ledger.asked] == ["claim", "finish"]


@in_loop
async def test_a_busy_lock_skips_the_occurrence() -> None:
    """The row says why, so that the occurrence can be caught up later."""
    ledger, lock = MemoryLedger(), Lock(LockedOutError("lock 'lock:nps' is held by another run"))
    with pytest.raises(LockedOutError, match="is held by another run"):
        await run(once(ledger, lock)(crawl_for(0)))
    row = await only_row(ledger)
    assert (row.status, row.error) == ("skipped", "lock 'lock:nps' is held by another run")


@in_loop
async def test_a_lock_that_cannot_be_asked_skips_the_occurrence_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The job was not begun, so it may be caught up; one line warns that the lock is away."""
    ledger, lock = MemoryLedger(), Lock(ConnectionError("redis://:secret@cache is away"))
    with pytest.raises(LockedOutError, match="could not be had"):
        await run(once(ledger, lock)(crawl_for(0)))
    row = await only_row(ledger)
    said = (
        "nps@2026-05-09T18:00:00Z was skipped: its lock could not be had: "
        "ConnectionError('redis://:***@cache is away')"
    )
    assert (row.status, row.error) == ("skipped", said)
    assert [record.getMessage() for record in caplog.records] == [said]


@in_loop
async def test_a_lock_that_is_lost_leaves_the_row_to_be_taken_over() -> None:
    """The job was stopped in the middle, as when the row's own lease is lost."""
    ledger = MemoryLedger()

    async def crawl() -> None:
        raise LeaseLostError("the lease of lock 'lock:nps' was lost")

    with pytest.raises(LeaseLostError):
        await run(once(ledger, Lock())(crawl))
    assert (await only_row(ledger)).status == "running"


# --- a ledger that is away --------------------------------------------------------------------


def during(name: str, start: float, end: float) -> Callable[[str, float], bool]:
    """Return an outage for one method, in minutes from 03:00."""
    first, last = (3 * 3600 + 60 * minutes for minutes in (start, end))
    return lambda asked, now: asked == name and first <= now < last


def test_a_claim_waits_for_a_ledger_that_is_away() -> None:
    """It is back after 20 s, and the occurrence has its one run."""
    ledger = SwitchedLedger(away=during("claim", 0, 1 / 3))
    story = play(crawl_for(60), ledger=ledger)
    row = story.row()
    assert row.status == "ok"
    assert sorted(story.runs["status"]) == ["locked_out", "locked_out", "ok"]
    assert row.claimed_at == THREE


def test_a_claim_whose_answer_was_lost_is_made_again() -> None:
    """The same request is the same claim, so nobody is locked out by himself."""
    ledger = SwitchedLedger(deaf=during("claim", 0, 0.001))
    story = play(crawl_for(60), ledger=ledger, nodes=1)
    assert (story.row().status, story.row().attempt) == ("ok", 1)


def test_a_claim_gives_up_after_its_patience() -> None:
    """The job is not begun, and the scheduler sees an error; when the ledger is back, it runs."""
    ledger = SwitchedLedger(away=during("claim", 0, 2))
    story = play(crawl_for(60), ledger=ledger, nodes=1, reconcile=False)
    (run_,) = story.seen("error")
    assert "LedgerUnavailableError" in run_.detail
    assert "secret" not in run_.detail
    assert (run_.finished_at - run_.started_at).total_seconds() == 30
    assert story.rows() == []
    again = play(crawl_for(60), ledger=SwitchedLedger(away=during("claim", 0, 2)), nodes=1)
    assert again.row().status == "ok"


def test_a_short_outage_during_the_run_does_no_harm() -> None:
    """Renewals fail for half a lease, and the run goes on."""
    ledger = SwitchedLedger(away=during("renew", 5, 5.5))
    story = play(crawl_for(1200), ledger=ledger)
    assert (story.row().status, story.row().attempt) == ("ok", 1)


def test_a_long_outage_stops_the_run_and_another_replica_repeats_it() -> None:
    """Nobody can tell whether the row was taken over, so the run stops; later it is repeated."""
    ledger = SwitchedLedger(away=lambda _name, now: 3.1 * 3600 <= now < 3.2 * 3600)
    story = play(crawl_for(1200), ledger=ledger, catch_up=timedelta(hours=1))
    assert (story.row().status, story.row().attempt) == ("ok", 2)
    (cut,) = story.seen("cancelled")
    assert "ran out: not renewed for 60 s" in cut.detail
    (again,) = story.seen("ok")
    assert again.started_at >= cut.finished_at


class DownLedger(SwitchedLedger):
    """A ledger that answers for a while that it serves nobody: all replicas, or A alone."""

    def __init__(self, start: float, end: float, *, only: str = "") -> None:
        super().__init__()
        self.span = start, end
        self.only = only

    async def _ask(self, name: str, answer: Any) -> Any:
        now = asyncio.get_running_loop().time() - 3 * 3600
        if self.span[0] <= now < self.span[1] and self.only in {"", current_node()}:
            answer.close()
            raise LedgerUnavailableError("the database system is starting up", is_down=True)
        return await super()._ask(name, answer)


@pytest.mark.parametrize("minutes", [1, 6, 18.3])
@pytest.mark.parametrize("start", [60.0, 101.7, 119.9, 130.0])
def test_a_database_that_is_down_stops_no_run(start: float, minutes: float) -> None:
    """Nobody can have claimed meanwhile; when it is back, the run is renewed before any look."""
    runs: list[str] = []
    ledger = DownLedger(start, start + 60 * minutes)
    story = play(noted(runs, 1200), ledger=ledger, catch_up=timedelta(hours=1))
    row = story.row()
    assert (row.status, row.attempt, row.rows, len(runs)) == ("ok", 1, 7, 1)
    assert row.finished_at == night(3, 20)


def test_a_database_that_is_down_for_one_replica_alone_is_the_limit_of_it() -> None:
    """A reaches an old server, the others the new one: two work until A hears of the new one.

    A   runs | down | down | down ....................... | "no": stopped, writes nothing
    B               lease of A is over | takes over, runs ........ | ok
    """
    runs: list[str] = []
    ledger = DownLedger(60, 600, only="A")
    story = play(noted(runs, 1200), ledger=ledger, catch_up=timedelta(hours=1))
    row = story.row()
    assert len(runs) == 2
    assert (row.status, row.attempt, row.instance) == ("ok", 2, runs[1])
    (cut,) = story.seen("cancelled")
    assert cut.node == "A"
    assert (cut.finished_at - night(3, 10)).total_seconds() < 60 / 30
    assert "was lost: another has it" in cut.detail


def test_a_replica_that_is_cut_off_alone_is_stopped_by_its_lease() -> None:
    """It gets no answer, so it stops before another replica begins: no two work at once."""
    at_work: list[tuple[str, datetime, datetime]] = []

    async def crawl() -> int:
        begun = shown_now()
        try:
            await asyncio.sleep(1200)
        finally:
            at_work.append((current_node(), begun, shown_now()))
        return 7

    class CutOff(SwitchedLedger):
        async def _ask(self, name: str, answer: Any) -> Any:
            now = asyncio.get_running_loop().time() - 3 * 3600
            is_cut = current_node() == "A" and 60 <= now < 600
            self.away = lambda _name, _now: is_cut
            return await super()._ask(name, answer)

    story = play(crawl, ledger=CutOff(), catch_up=timedelta(hours=1))
    assert (story.row().status, story.row().attempt) == ("ok", 2)
    (first, _, ended), (second, begun, _) = at_work
    assert (first, ended) == ("A", night(3, 1, 40))
    assert second != "A"
    assert begun >= ended


def test_the_last_write_waits_for_a_ledger_that_is_away() -> None:
    """The run ends at 03:10, and its row is written at the first try after 03:10:20."""
    ledger = SwitchedLedger(away=during("finish", 10, 10.3))
    story = play(crawl_for(600), ledger=ledger)
    row = story.row()
    assert (row.status, row.rows, row.duration_ms) == ("ok", 7, 600_000)
    assert row.finished_at == night(3, 10)


def test_a_last_write_whose_answer_was_lost_is_made_again() -> None:
    """The same write twice is one, and the run is not told that it was taken over."""
    ledger = SwitchedLedger(deaf=during("finish", 10, 10.001))
    story = play(crawl_for(600), ledger=ledger, nodes=1)
    assert story.row().status == "ok"
    assert len(story.seen("ok")) == 1
    assert [name for name, _ in ledger.asked].count("finish") == 2


def test_a_row_that_cannot_be_written_stands_in_the_log(
    our_log: pytest.LogCaptureFixture,
) -> None:
    """The job's own result goes on, and the line has all that is needed to write the row."""
    ledger = SwitchedLedger(away=during("finish", 0, 600))
    story = play(crawl_for(600), ledger=ledger, nodes=1, reconcile=False)
    assert list(story.runs["status"]) == ["ok"]
    assert story.row().status == "running"
    (record,) = [each for each in our_log.records if each.levelno == logging.ERROR]
    assert record.name == "kst_scheduler.once.decorator"
    said, _, row = record.getMessage().partition("; the row is ")
    assert "secret" not in said
    assert json.loads(row)["status"] == "ok"
    assert json.loads(row)["rows"] == 7


def test_an_error_goes_on_where_its_row_cannot_be_written() -> None:
    """What the scheduler sees is the job's own exception, not the ledger's."""

    async def crawl() -> None:
        raise ValueError("no rows")

    ledger = SwitchedLedger(away=during("finish", 0, 600))
    story = play(crawl, ledger=ledger, nodes=1, reconcile=False)
    assert list(story.runs["detail"]) == ["ValueError('no rows')"]


# --- an outcome that is known -----------------------------------------------------------------


def noted(runs: list[str], seconds: float = 600) -> Callable[[], Awaitable[int]]:
    """Return a job that notes where it begins and takes ten minutes."""

    async def crawl() -> int:
        runs.append(current_node())
        await asyncio.sleep(seconds)
        return 7

    return crawl


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("minutes", [1, 1.7, 5, 30.99])
def test_an_outcome_that_the_ledger_could_not_take_is_written_later(
    nodes: int, minutes: float
) -> None:
    """Away for longer than the patience and the lease: the process lives, and knows it is done."""
    runs: list[str] = []
    start = 3 * 3600 + 599.0  # a second before the work ends
    ledger = SwitchedLedger(away=lambda _name, now: start <= now < start + 60 * minutes)
    story = play(noted(runs), ledger=ledger, nodes=nodes, catch_up=timedelta(hours=2))
    row = story.row()
    assert len(runs) == 1
    assert (row.status, row.attempt, row.rows, row.lost) == ("ok", 1, 7, 0)
    assert row.finished_at == night(3, 10)
    said = story.result.log["message"]
    assert said.str.contains("is kept, and written when the ledger is back; the row is").sum() == 1
    assert said.str.contains("was written, late: ok").sum() == 1


def test_an_error_that_the_ledger_could_not_take_is_written_later_too() -> None:
    """A job that failed is not to be run again because of an outage."""

    async def crawl() -> None:
        runs.append(1)
        await asyncio.sleep(6)
        raise ValueError("no such page")

    runs: list[int] = []
    start = 3 * 3600.0
    ledger = SwitchedLedger(away=lambda _name, now: start + 5 <= now < start + 300)
    story = play(crawl, ledger=ledger, catch_up=timedelta(hours=2))
    assert (story.row().status, runs) == ("error", [1])


def test_a_kept_outcome_is_lost_with_its_process() -> None:
    """Nobody else knows it: the work is done again, as after any crash."""
    runs: list[str] = []
    ledger = SwitchedLedger(away=lambda _name, now: 10_200 + 1190 <= now < 10_200 + 1500)
    story = play(
        noted(runs),
        ledger=ledger,
        incidents=[Crash("A", night(3, 13))],
        catch_up=timedelta(hours=2),
    )
    assert (story.row().status, story.row().attempt, len(runs)) == ("ok", 2, 2)


def test_a_kept_outcome_does_not_overwrite_a_successor() -> None:
    """A is cut off alone: B takes over when the lease is over, and A's outcome is refused."""
    runs: list[str] = []

    class CutOff(SwitchedLedger):
        async def _ask(self, name: str, answer: Any) -> Any:
            loop = asyncio.get_running_loop()
            is_cut = current_node() == "A" and 3 * 3600 + 590 <= loop.time() < 4 * 3600
            self.away = lambda _name, _now: is_cut
            return await super()._ask(name, answer)

    story = play(noted(runs), ledger=CutOff(), catch_up=timedelta(hours=2))
    row = story.row()
    assert runs[0] == "A"
    assert len(runs) == 2
    assert (row.status, row.attempt, row.instance) == ("ok", 2, runs[1])
    assert row.finished_at is not None
    assert row.finished_at > night(3, 15)
    said = story.result.log["message"]
    assert said.str.contains("lost its lease before its end was written").sum() == 1


def test_a_drain_writes_what_was_kept() -> None:
    """The ledger is back while the drain tries for the last time."""
    ledger = SwitchedLedger(away=during("finish", 0, 12))
    story = play(crawl_for(600), nodes=1, then=drain_at(12, 5), ledger=ledger, reconcile=False)
    assert story.row().status == "ok"


class SlowlyAwayLedger(SwitchedLedger):
    """A ledger that takes two seconds to fail, so it can be back in the middle of a try."""

    async def _ask(self, name: str, answer: Any) -> Any:
        if self.away(name, asyncio.get_running_loop().time()):
            answer.close()
            await asyncio.sleep(2)
            raise LedgerUnavailableError("no answer")
        return await super()._ask(name, answer)


TWELVE = 3 * 3600 + 12 * 60
"""03:12, when the next occurrence is due; in seconds since midnight."""


def play_two(ledger: SwitchedLedger, nodes: int, **options: Any) -> list[tuple[str, int]]:
    """Run 03:00, which ends at 03:10 while the ledger is away, and 03:12; return what they are."""
    trigger = cron(hour=3, minute="0,12")
    story = play(crawl_for(600), trigger, ledger=ledger, nodes=nodes, until=night(4), **options)
    return [(row.status, row.attempt) for row in story.rows()]


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("kind", [SwitchedLedger, SlowlyAwayLedger])
@pytest.mark.parametrize("late", [0.05, 0.6, 1.1, 2.3, 3.2, 5.5, 8.4, 11.9, 17.3])
def test_a_kept_outcome_is_written_before_a_claim_that_waits(
    kind: type[SwitchedLedger], nodes: int, late: float
) -> None:
    """The ledger is back some seconds after 03:12: the claim must not close the run before it."""
    ledger = kind(away=lambda _name, now: TWELVE - 121 <= now < TWELVE + late)
    assert play_two(ledger, nodes) == [("ok", 1), ("ok", 1)]


@pytest.mark.parametrize("tenths", range(0, 31, 5))
def test_a_look_closes_no_run_whose_outcome_is_kept_here(tenths: int) -> None:
    """The outage falls between two looks; the ledger is back in the middle of the second one.

    03:10:00 look, renewed | 03:10:01 away | the work ends | 03:11:00 look | back: lease over
    """
    begin, end = TWELVE - 119, TWELVE - 60 + tenths / 10
    ledger = SlowlyAwayLedger(away=lambda _name, now: begin <= now < end)
    story = play(crawl_for(602), ledger=ledger, nodes=1, repeatable=False)
    assert [(row.status, row.attempt) for row in story.rows()] == [("ok", 1)]


@pytest.mark.parametrize("late", [0.05, 1.4, 2.0])
def test_an_outcome_that_is_being_written_comes_before_a_claim(late: float) -> None:
    """It is not kept yet: its patience lasts, and its tries are five seconds apart."""
    ledger = SwitchedLedger(away=lambda _name, now: TWELVE - 121 <= now < TWELVE + late)
    patience = timedelta(seconds=200)
    with pytest.warns(JobWarning, match="max_instances"):
        ended = play_two(ledger, 1, patience=patience, then=allow_two)
    assert ended == [("ok", 1), ("ok", 1)]


def allow_two(scheduler: KSTScheduler) -> None:
    """Let a second run of the job start while the first one writes, as a worker may."""
    scheduler.modify_job("nps", max_instances=2)


def test_a_healthy_last_write_is_waited_for_without_a_word() -> None:
    """The claim of the next occurrence comes while it is on its way: nothing is skipped."""

    class SlowLedger(SwitchedLedger):
        async def finish(self, claim: Claim, outcome: Outcome) -> bool:
            await asyncio.sleep(3)
            return await super().finish(claim, outcome)

    ledger, trigger = SlowLedger(), cron(hour=3, minute="0,1")
    with pytest.warns(JobWarning, match="max_instances"):
        story = play(
            crawl_for(59), trigger, nodes=1, ledger=ledger, reconcile=False, then=allow_two
        )
    assert story.statuses() == ["ok", "ok"]
    assert len(story.result.log[story.result.log["level"] != "INFO"]) == 0


@pytest.mark.parametrize(
    ("seconds", "ended"), [(38, ["ok", "skipped"]), (61, ["error", "ok"])], ids=["holds", "over"]
)
def test_the_lease_protects_a_kept_outcome_from_a_claim_that_saw_no_outage(
    seconds: float, ended: list[str]
) -> None:
    """B claims just when the ledger is back, before A tries again: the limit of what is possible.

    A       03:00 runs, and ends in the outage | kept: fails, fails ... | written, or too late
    B                                                                | a run by hand: claims
    ledger                                 [............ away .......]
    """

    def claim_on_b(scheduler: KSTScheduler) -> None:
        if current_node() == "B":
            asyncio.get_running_loop().call_at(TWELVE, scheduler.run_now, "nps")

    ledger = SwitchedLedger(away=lambda _name, now: TWELVE - seconds <= now < TWELVE)
    story = play(
        crawl_for(720.3 - seconds),
        nodes=[Node("A"), Node("B", clock_offset=-0.5)],
        ledger=ledger,
        then=claim_on_b,
        patience=timedelta(milliseconds=1),  # from then on it is kept
    )
    assert [(row.instance, row.status) for row in story.rows()] == list(
        zip("AB", ended, strict=True)
    )


@pytest.mark.parametrize(("deaf", "seconds"), [(False, 1), (True, 5)])
def test_the_last_try_of_a_drain_ends_within_its_clean_up(deaf: bool, seconds: float) -> None:
    """The ledger gives no answer; beside it, a run may use up the time for its clean-up.

    03:10 kept: its write hangs | 03:12 drain: 20 s | cut | 5 s for clean-up and the last try
    """

    class HangingLedger(SwitchedLedger):
        async def finish(self, claim: Claim, outcome: Outcome) -> bool:
            await asyncio.sleep(3600)
            return await super().finish(claim, outcome)

    async def cleaning_up() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    took: list[float] = []

    async def drain(scheduler: KSTScheduler) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(TWELVE - loop.time())
        await scheduler.drain(0 if deaf else 20)
        took.append(loop.time() - TWELVE)

    tasks: list[asyncio.Task[None]] = []

    def plan(scheduler: KSTScheduler) -> None:
        if deaf:
            scheduler.add_job(cleaning_up, cron(hour=3), id="deaf")
        tasks.append(asyncio.create_task(drain(scheduler)))

    ledger, patience = HangingLedger(), timedelta(seconds=1)
    play(crawl_for(600), nodes=1, ledger=ledger, patience=patience, reconcile=False, then=plan)
    assert took == [seconds]


def test_a_process_keeps_a_thousand_outcomes(our_log: pytest.LogCaptureFixture) -> None:
    """The ones after that are in the log alone."""

    async def main() -> None:
        ledger = SwitchedLedger(away=lambda name, _now: name == "finish")
        for number in range(1_003):
            of = Occurrence(f"job {number}", THREE)
            job = once(ledger, patience=timedelta(microseconds=1))(crawl_for(0)).once
            await job.run(of, crawl_for(0))
        assert len(kept_writes()) == 1_000
        await kept_writes().try_all()
        # Each is tried when it ends and by try_all(); every few seconds a slow machine tries more.
        assert [name for name, _ in ledger.asked].count("finish") < 10 * 1_003
        ledger.away = lambda _name, _now: False
        await kept_writes().try_all()
        assert len(kept_writes()) == 0
        statuses = Counter(row.status for row in await ledger.rows())
        assert statuses == {"ok": 1_000, "running": 3}

    asyncio.run(main())
    lines = [r.getMessage() for r in our_log.records if r.levelno == logging.ERROR]
    assert len(lines) == 1_003
    assert sum("is kept" in line for line in lines) == 1_000


# --- a job that kills its process ---------------------------------------------------------------


def killer(starts: list[datetime], deaths: int) -> Callable[[], Awaitable[int]]:
    """Return a job that hangs its process for good at its first starts, as if it were killed."""

    async def crawl() -> int:
        starts.append(datetime.now(UTC))
        if len(starts) <= deaths:
            time.sleep(86_400)  # noqa: ASYNC251 - as the OOM killer does it, but for the exit
        return 7

    return crawl


@pytest.mark.parametrize("at_most", [1, 2, 3])
def test_a_job_that_kills_its_process_has_so_many_attempts(at_most: int) -> None:
    """Six replicas were killed within an hour; now the row says why it is not run, once."""
    starts: list[datetime] = []
    told: list[LedgerRow] = []

    async def tell(rows: list[LedgerRow]) -> None:
        told.extend(rows)

    story = play(
        killer(starts, 99),
        at(THREE),
        until=night(9),
        nodes=6,
        catch_up=timedelta(hours=5),
        max_attempts=at_most,
        on_missing=tell,
        start=night(2, 59),
    )
    row = story.row()
    assert len(starts) == at_most
    assert (row.status, row.attempt, row.lost) == ("error", at_most, at_most)
    assert row.error is not None
    assert f"not run again, as max_attempts={at_most}" in row.error
    assert f"attempt {at_most} on {row.instance} lost its lease" in row.error
    assert list(map(in_shown_times, told)) == [row]


def test_a_job_that_kills_two_processes_is_done_by_the_third() -> None:
    """The default leaves it three attempts."""
    starts: list[datetime] = []
    catch_up = timedelta(hours=5)
    story = play(killer(starts, 2), at(THREE), nodes=6, catch_up=catch_up, start=night(2, 59))
    row = story.row()
    assert (row.status, row.attempt, row.lost, len(starts)) == ("ok", 3, 2, 3)


def test_the_next_occurrence_has_attempts_of_its_own() -> None:
    """What was given up at three does not lock out what is due at four."""
    starts: list[datetime] = []
    story = play(
        killer(starts, 3), cron(hour="3,4"), nodes=6, catch_up=timedelta(minutes=50), reconcile=True
    )
    assert [(row.status, row.attempt) for row in story.rows()] == [("error", 3), ("ok", 1)]


def test_a_job_that_may_not_be_repeated_kills_one_process() -> None:
    """Whatever max_attempts says."""
    starts: list[datetime] = []
    story = play(killer(starts, 99), nodes=6, repeatable=False, catch_up=timedelta(hours=2))
    row = story.row()
    assert (row.status, row.attempt, len(starts)) == ("error", 1, 1)
    assert row.error is not None
    assert row.error.endswith("the job is not to be repeated")


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "3", None])
def test_a_number_of_attempts_is_a_positive_integer(number: Any) -> None:
    """At least one, or nothing ever runs."""
    with pytest.raises(InvalidArgumentError, match="is not a number of attempts; write 1 or more"):
        once(MemoryLedger(), max_attempts=number)


# --- draining ---------------------------------------------------------------------------------


def drain_at(minute: float, seconds: float) -> Callable[[KSTScheduler], object]:
    """Return what drains a scheduler so many minutes after 03:00."""
    tasks = []  # the loop keeps no reference of its own

    def plan(scheduler: KSTScheduler) -> None:
        def drain() -> None:
            tasks.append(asyncio.get_running_loop().create_task(scheduler.drain(seconds)))

        asyncio.get_running_loop().call_later((night(3, minute) - NIGHT).total_seconds(), drain)

    return plan


def test_a_drain_in_the_middle_is_written_within_its_clean_up() -> None:
    """The job gets its 20 s, is cut, and the row says so before the scheduler is down."""
    story = play(crawl_for(600), nodes=1, then=drain_at(5, 20), reconcile=False)
    row = story.row()
    assert (row.status, row.finished_at) == ("cancelled", night(3, 5, 20))
    (run_,) = story.seen("cancelled")
    assert run_.finished_at == night(3, 5, 20)


def test_a_drain_waits_three_seconds_at_most_for_a_ledger_that_is_away(
    our_log: pytest.LogCaptureFixture,
) -> None:
    """Less than the 5 s that it has, so the row stands in the log."""
    ledger = SwitchedLedger(away=during("finish", 0, 600))
    story = play(crawl_for(600), nodes=1, then=drain_at(5, 20), ledger=ledger, reconcile=False)
    (run_,) = story.seen("cancelled")
    assert run_.finished_at == night(3, 5, 23)
    (record,) = [each for each in our_log.records if each.levelno == logging.ERROR]
    assert '"status": "cancelled"' in record.getMessage()


def test_a_drain_during_the_last_write_does_not_lose_it() -> None:
    """The work is done, so the outcome is ok, and the write is made again."""
    ledger = SwitchedLedger(away=during("finish", 10, 10.2))
    story = play(crawl_for(600), nodes=1, then=drain_at(10.1, 5), ledger=ledger, reconcile=False)
    assert (story.row().status, story.row().rows) == ("ok", 7)
    assert list(story.runs["status"]) == ["ok"]


@in_loop
async def test_draining_a_real_scheduler_writes_the_row() -> None:
    """The same in real time."""
    ledger, started, scheduler = MemoryLedger(), asyncio.Event(), KSTScheduler()

    @once(ledger)
    async def crawl() -> None:
        started.set()
        await asyncio.Event().wait()

    scheduler.add_job(crawl, cron(hour=3), id="nps")
    scheduler.start()
    occurrence = scheduler.run_now("nps")
    await started.wait()
    drained = await scheduler.drain(0)
    assert drained.cancelled == (occurrence,)
    row = await only_row(ledger)
    assert (row.status, row.trigger, row.occurrence) == ("cancelled", "manual", occurrence)


# --- threads that a job has begun ---------------------------------------------------------------


def threaded(
    at_work: list[tuple[str, datetime, datetime]], seconds: float = 600
) -> Callable[[], Awaitable[int]]:
    """Return a job whose work is in a thread, which notes where and when it is at work."""

    def work() -> int:
        begun = shown_now()
        time.sleep(seconds)
        at_work.append((current_node(), begun, shown_now()))
        return 7

    async def crawl() -> int:
        return await asyncio.to_thread(work)

    return crawl


def test_a_run_that_is_cut_waits_for_its_thread_and_keeps_its_lease() -> None:
    """DrainResult at 03:05, its thread ends at 03:10: until then no other replica begins."""
    at_work: list[tuple[str, datetime, datetime]] = []

    def drain_a(scheduler: KSTScheduler) -> None:
        if current_node() == "A":
            drain_at(5, 20)(scheduler)

    story = play(threaded(at_work), then=drain_a, catch_up=timedelta(hours=1))
    (work,) = at_work
    assert work == ("A", night(3), night(3, 10))
    row = story.row()
    assert (row.status, row.attempt, row.finished_at) == ("cancelled", 1, night(3, 10))
    said = story.result.log["message"]
    assert said.str.contains("was cut, and waits for 1 thread").sum() == 1
    (drained,) = said[said.str.startswith("Drained the scheduler")]
    assert drained == "Drained the scheduler: still_running: nps@2026-05-09T18:00:00Z"


def test_a_lock_is_held_until_the_thread_has_ended() -> None:
    """What it guards is at work until then."""
    at_work: list[tuple[str, datetime, datetime]] = []
    released: list[datetime] = []

    @contextlib.asynccontextmanager
    async def lock() -> AsyncIterator[None]:
        try:
            yield
        finally:
            released.append(shown_now())

    play(threaded(at_work), nodes=1, then=drain_at(5, 20), lock=lock, reconcile=False)
    assert at_work == [("A", night(3), night(3, 10))]
    assert released == [night(3, 10)]


def test_a_job_whose_wait_for_its_thread_is_over_ends_with_it() -> None:
    """A time limit of the job's own cuts the wait, not the thread."""
    at_work: list[tuple[str, datetime, datetime]] = []

    async def crawl() -> None:
        await asyncio.wait_for(threaded(at_work)(), 60)

    story = play(crawl, nodes=1, reconcile=False)
    row = story.row()
    assert (row.status, row.error, row.finished_at) == ("error", "TimeoutError()", night(3, 10))


Wait = Callable[[Callable[[], object]], Awaitable[object]]
"""How a job waits for its work in a thread, for a minute."""


async def _wait_for(work: Callable[[], object]) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.to_thread(work), 60)


async def _wait(work: Callable[[], object]) -> None:
    await asyncio.wait([asyncio.create_task(asyncio.to_thread(work))], timeout=60)


async def _timeout(work: Callable[[], object]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            await asyncio.get_running_loop().run_in_executor(None, work)


@pytest.mark.parametrize("wait", [_wait_for, _wait, _timeout])
def test_a_job_that_gives_up_its_thread_ends_with_it(wait: Wait) -> None:
    """It catches its own time limit and returns, and no other run begins beside its thread.

    03:00 the work begins | 03:01 returns 7 ... 03:10 skipped ... | 03:25 its work ends: ok
    """
    at_work: list[tuple[datetime, datetime]] = []

    def work() -> None:
        begun = shown_now()
        time.sleep(1500)
        at_work.append((begun, shown_now()))

    async def crawl() -> int:
        await wait(work)
        return 7

    story = play(crawl, cron(hour=3, minute="0,10"), nodes=2, then=drain_at(15, 20))
    assert at_work == [(night(3), night(3, 25))]
    first, second = story.rows()
    assert (first.status, first.rows, first.finished_at) == ("ok", 7, night(3, 25))
    assert second.status == "skipped"
    said = story.result.log["message"]
    assert said.str.contains("has returned, and waits for 1 thread").sum() == 1
    drained = said[said.str.startswith("Drained the scheduler: still_running: nps@")]
    assert len(drained) == 1


def test_a_thread_whose_run_lost_its_lease_is_the_limit_of_it() -> None:
    """It cannot be stopped: this process begins no other run meanwhile, another replica may.

    A   thread at work ....... lease over, waits ....... | ends, writes nothing
    B                          | takes over, at work ................ | ok
    """
    at_work: list[tuple[str, datetime, datetime]] = []

    class CutOff(SwitchedLedger):
        async def _ask(self, name: str, answer: Any) -> Any:
            is_cut = current_node() == "A" and asyncio.get_running_loop().time() >= 3 * 3600 + 60
            self.away = lambda _name, _now: is_cut
            return await super()._ask(name, answer)

    story = play(threaded(at_work), ledger=CutOff(), catch_up=timedelta(hours=1))
    assert [node for node, _, _ in at_work] == ["A", story.row().instance]
    assert (story.row().status, story.row().attempt) == ("ok", 2)
    (cut,) = story.seen("cancelled")
    assert (cut.node, cut.finished_at) == ("A", night(3, 10))


# --- replicas ---------------------------------------------------------------------------------


def test_three_replicas_run_each_occurrence_once() -> None:
    """One of them has it; the others are locked out, and learn by whom."""
    story = play(crawl_for(600), cron(minute=0))
    assert story.statuses() == ["ok"] * 6
    assert [row.scheduled_at for row in story.rows()] == [night(hour) for hour in range(6)]
    assert duplicates(story.runs).empty
    locked_out = story.seen("locked_out")
    assert len(locked_out) == 12
    assert locked_out[0].detail == "nps@2026-05-09T15:00:00Z was claimed by A: running"


def test_nodes_without_a_name_of_their_own_are_told_apart() -> None:
    """All simulated nodes are one process, and claim at the same microsecond."""
    ledger = MemoryLedger()

    def register(scheduler: KSTScheduler) -> None:
        scheduler.add_job(once(ledger)(crawl_for(60)), cron(hour=3), id="nps")

    story = Night(simulate(register, NIGHT, night(6), 3), ledger)
    assert sorted(story.runs["status"]) == ["locked_out", "locked_out", "ok"]


def test_a_short_job_runs_once_though_the_clocks_differ() -> None:
    """A lock alone fails here: it is free again when the late replica asks for it."""
    nodes = [Node("A"), Node("B", clock_offset=5), Node("C", clock_offset=-5)]
    story = play(crawl_for(0.05), cron(minute=30), nodes=nodes)
    assert [(row.scheduled_at, row.status, row.instance) for row in story.rows()] == [
        (night(hour, 30), "ok", "B") for hour in range(6)
    ]
    assert len(story.seen("locked_out")) == 12


@pytest.mark.parametrize("seconds", [3600, -3600, 90, -90])
def test_a_clock_that_jumps_doubles_nothing(seconds: float) -> None:
    """The occurrence is what is claimed, whatever the clock says when it comes."""
    jump = ClockJump("B", night(2, 30), seconds)
    story = play(crawl_for(600), cron(minute="*/20"), incidents=[jump])
    assert duplicates(story.runs).empty
    ran = [row for row in story.rows() if row.status == "ok"]
    assert {row.attempt for row in ran} == {1}


def test_a_crashed_holder_is_replaced_after_its_lease_and_not_before() -> None:
    """The last renewal before 03:05 was at 03:04:40, so the lease is over at 03:05:40."""
    story = play(crawl_for(600), incidents=[Crash("A", night(3, 5))], catch_up=timedelta(hours=1))
    row = story.row()
    assert (row.status, row.attempt) == ("ok", 2)
    assert row.error == "attempt 1 on A lost its lease at 2026-05-09T18:05:40.000000Z"
    (second,) = story.seen("ok")
    assert night(3, 5, 40) <= second.started_at <= night(3, 6, 40)
    assert [run_.node for run_ in story.seen("cancelled")] == ["A"]


def test_a_frozen_holder_writes_nothing_when_it_thaws() -> None:
    """Its lease was over meanwhile: its job is stopped, and the row belongs to the second run."""
    ended = []

    async def crawl() -> int:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            ended.append(shown_now())
            raise
        return 7

    freeze = Freeze("A", night(3, 5), timedelta(minutes=30))
    story = play(crawl, incidents=[freeze], catch_up=timedelta(hours=1))
    row = story.row()
    assert (row.status, row.attempt) == ("ok", 2)
    assert row.instance in {"B", "C"}
    (cut,) = story.seen("cancelled")
    assert (cut.node, cut.finished_at) == ("A", night(3, 35))
    assert "the lease of nps@2026-05-09T18:00:00Z ran out" in cut.detail
    assert ended == [night(3, 35)]


def test_a_holder_that_blocks_its_loop_does_not_overwrite_its_successor() -> None:
    """Code without an await cannot be stopped; the fence keeps its outcome out of the row."""

    async def crawl() -> int:
        starts.append(datetime.now(UTC))
        if len(starts) == 1:
            time.sleep(900)  # noqa: ASYNC251 - the fault to be survived
            return 1
        await asyncio.sleep(60)
        return 2

    starts: list[datetime] = []
    story = play(crawl, catch_up=timedelta(hours=1))
    row = story.row()
    assert (row.status, row.attempt, row.rows) == ("ok", 2, 2)
    (late,) = story.seen("cancelled")
    assert "lost its lease before its end was written" in late.detail


def test_an_error_of_a_holder_that_lost_its_row_is_a_line_of_the_log() -> None:
    """The row is its successor's, so it cannot hold the error."""

    async def crawl() -> int:
        starts.append(datetime.now(UTC))
        if len(starts) == 1:
            time.sleep(900)  # noqa: ASYNC251 - the fault to be survived
            raise ValueError("the source is broken")
        return 2

    starts: list[datetime] = []
    story = play(crawl, catch_up=timedelta(hours=1))
    assert story.row().status == "ok"
    (failed,) = story.seen("error")
    assert "the source is broken" in failed.detail
    said = story.result.log["message"]
    key = "nps@2026-05-09T18:00:00Z"
    assert said.str.startswith(f"{key} lost its lease before its end was written").sum() == 1


def test_a_short_freeze_costs_nothing() -> None:
    """Shorter than the lease: the run goes on where it was."""
    freeze = Freeze("A", night(3, 5), timedelta(seconds=30))
    story = play(crawl_for(600), incidents=[freeze])
    assert (story.row().status, story.row().attempt, story.row().instance) == ("ok", 1, "A")


def test_a_node_that_is_frozen_while_it_claims_does_not_begin_late() -> None:
    """A claim that took longer than its lease holds nothing any more."""

    class Slow(MemoryLedger):
        async def claim(self, request: Any) -> Claim:
            claim = await super().claim(request)
            await asyncio.sleep(1)
            return claim

    freeze = Freeze("A", night(3, 0, 0.5), timedelta(minutes=3))
    story = play(crawl_for(60), ledger=Slow(), incidents=[freeze], catch_up=timedelta(hours=1))
    assert (story.row().status, story.row().attempt) == ("ok", 2)
    assert len(story.seen("ok")) == 1


def test_runs_of_a_job_do_not_overlap() -> None:
    """The occurrence that comes too early is skipped, and names the run that was in the way."""
    story = play(crawl_for(1800), cron(minute="*/20"), until=night(1), reconcile=False)
    assert story.statuses() == ["ok", "skipped", "running"]
    skipped = story.rows()[1]
    assert skipped.error == "nps@2026-05-09T15:00:00Z, attempt 1 on A, was running"


def test_a_duration_does_not_follow_the_clock() -> None:
    """The wall clock is set back in the middle; the monotonic one is not."""
    jump = ClockJump("A", night(3, 5), -3600)
    story = play(crawl_for(600), nodes=1, incidents=[jump], reconcile=False)
    row = story.row()
    assert row.duration_ms == 600_000
    assert row.claimed_at is not None
    assert row.finished_at is not None
    assert row.finished_at < row.claimed_at


def test_a_run_that_fails_has_its_duration() -> None:
    """What it took to fail is worth as much as what it took to work."""

    async def crawl() -> None:
        await asyncio.sleep(600)
        raise ValueError("no page")

    row = play(crawl, nodes=1, reconcile=False).row()
    assert (row.status, row.duration_ms) == ("error", 600_000)


@in_loop
async def test_a_run_without_a_scheduler_waits_for_its_thread_too() -> None:
    """A worker runs a claim in an event loop that no executor has prepared."""
    ledger, started, release = MemoryLedger(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        release.wait(10)

    @once(ledger)
    async def crawl() -> None:
        await asyncio.to_thread(work)

    task = asyncio.create_task(run(crawl))
    assert await asyncio.to_thread(started.wait, 10)
    task.cancel()
    try:
        ended, _ = await asyncio.wait([task], timeout=0.05)
        assert not ended
        assert (await only_row(ledger)).status == "running"
    finally:
        release.set()
    await asyncio.wait([task], timeout=10)
    assert (await only_row(ledger)).status == "cancelled"


def test_a_run_by_hand_has_a_row_of_its_own() -> None:
    """It does not take the place of the scheduled run, and does not overlap with it."""

    def by_hand(scheduler: KSTScheduler) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(2 * 3600, lambda: scheduler.run_now("nps"))
        loop.call_later(3 * 3600 + 60, lambda: scheduler.run_now("nps"))

    story = play(crawl_for(30), nodes=1, then=by_hand)
    assert [(row.trigger, row.status) for row in story.rows()] == [
        ("manual", "ok"),
        ("schedule", "ok"),
        ("manual", "ok"),
    ]
    assert in_milliseconds(story.rows()[0].scheduled_at) == night(2)


def test_a_run_by_hand_is_locked_out_while_another_replica_runs_the_job() -> None:
    """max_instances counts in one process; the ledger counts in all."""

    def by_hand(scheduler: KSTScheduler) -> None:
        asyncio.get_running_loop().call_later(
            3 * 3600 + 60, lambda: scheduler.running_occurrences() or scheduler.run_now("nps")
        )

    story = play(crawl_for(600), nodes=2, then=by_hand, reconcile=False)
    assert [(row.trigger, row.status) for row in story.rows()] == [
        ("schedule", "ok"),
        ("manual", "skipped"),
    ]


def test_a_recorder_calls_a_lost_lease_cancelled() -> None:
    """One word in the table of runs for what was stopped in the middle."""
    ledger = SwitchedLedger(away=during("renew", 0, 10))
    story = play(crawl_for(600), ledger=ledger, nodes=1, reconcile=False)
    assert list(story.runs["status"]) == ["cancelled"]
    assert story.row().status == "running"


@in_loop
async def test_what_ends_the_process_is_written_too() -> None:
    """sys.exit() in a job ends only the job: APScheduler catches it."""
    ledger, scheduler = MemoryLedger(), KSTScheduler()

    @once(ledger)
    async def crawl() -> None:
        raise SystemExit(3)

    scheduler.add_job(crawl, at(kst(2099, 1, 1)), id="nps")
    scheduler.start()
    scheduler.run_now("nps")
    while scheduler.running_occurrences():  # noqa: ASYNC110 - nothing to wait for but it
        await asyncio.sleep(0)
    assert (await only_row(ledger)).error == "SystemExit(3)"
    await scheduler.drain(1)
