from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError, LedgerUnavailableError, LockedOutError
from kst_scheduler.ledger import ClaimRequest, MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler, ReconcileResult, job_reconciler
from kst_scheduler.once.reconcile import reconciler as reconciler_module
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence, current_occurrence
from kst_scheduler.simulation import ClockJump, Crash, Node, current_node, simulate
from kst_scheduler.timezone import KST, in_milliseconds, kst
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import at, cron
from replicas import (
    NIGHT,
    Night,
    SwitchedLedger,
    crawl_for,
    in_shown_times,
    night,
    play,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kst_scheduler.ledger import LedgerRow
    from kst_scheduler.simulation import Incident

HOUR = timedelta(hours=1)
THREE = night(3)


def outage(start: float, end: float, nodes: str = "ABC") -> list[Incident]:
    """Return crashes of all nodes, from one hour to another; they restart seconds apart."""
    return [
        Crash(node, night(start), night(end, second=7 * index) - night(start))
        for index, node in enumerate(nodes)
    ]


def told(story: Night) -> list[tuple[float, str, str | None]]:
    """Return the hour, the status and the reason of each row."""
    return [
        ((in_milliseconds(row.scheduled_at) - NIGHT) / HOUR, row.status, row.error)
        for row in story.rows()
    ]


class Looks:
    """Looks that the test plans itself, and what they did."""

    def __init__(self) -> None:
        self.done: list[ReconcileResult] = []
        self.errors: list[Exception] = []
        self._tasks: list[asyncio.Task[None]] = []  # a loop keeps no reference of its own

    def plan(self, minute: float, reconciler: Reconciler) -> None:
        """Look so many minutes after 03:00, unless that has gone by."""
        loop = asyncio.get_running_loop()
        after = (night(3, minute) - NIGHT).total_seconds() - loop.time()
        if after > 0:
            start = lambda: self._tasks.append(loop.create_task(self._look(reconciler)))  # noqa: E731
            loop.call_later(after, start)

    async def _look(self, reconciler: Reconciler) -> None:
        try:
            self.done.append(await reconciler.reconcile())
        except Exception as error:  # noqa: BLE001 - it is looked at
            self.errors.append(error)


def alone(
    add: Callable[[KSTScheduler, MemoryLedger], object],
    job: Callable[[], Awaitable[object]] | None = None,
    **options: Any,
) -> Night:
    """Play a night on one node, without a Reconciler but for what the test adds."""
    ledger = options.pop("ledger", None) or MemoryLedger()
    return play(
        job or crawl_for(60),
        nodes=1,
        ledger=ledger,
        reconcile=False,
        then=lambda scheduler: add(scheduler, ledger),
        **options,
    )


# --- after an outage --------------------------------------------------------------------------


def test_an_outage_of_all_replicas_leaves_no_occurrence_without_a_row() -> None:
    """Of those missed, the newest runs, once over all replicas; the others say why not."""
    story = play(
        crawl_for(600), cron(minute=0), incidents=outage(0.5, 5.1), catch_up=timedelta(hours=2)
    )
    assert told(story) == [
        (0, "ok", None),
        (1, "missed", "4:06:00 late, catch-up window 2:00:00"),
        (2, "missed", "3:06:00 late, catch-up window 2:00:00"),
        (3, "missed", "2:06:00 late, catch-up window 2:00:00"),
        (4, "missed", "folded into the run of 2026-05-10 05:00:00 KST"),
        (5, "ok", None),
    ]
    caught_up = story.rows()[-1]
    assert caught_up.attempt == 1
    assert caught_up.started_at is not None
    assert night(5.1) <= caught_up.started_at <= night(5.1, 1)


def test_what_is_too_late_is_not_run() -> None:
    """The catch-up window is the job's grace time unless it is given."""
    story = play(crawl_for(600), incidents=outage(2.9, 3.2), grace=300)
    assert told(story) == [(3, "missed", "0:12:00 late, catch-up window 0:05:00")]
    story = play(crawl_for(600), incidents=outage(2.9, 3.2), grace=900)
    assert told(story) == [(3, "ok", None)]


def test_a_job_without_a_grace_time_is_never_too_late() -> None:
    """As misfire_grace_time=None means in APScheduler."""

    def add(scheduler: KSTScheduler) -> None:
        scheduler.modify_job("nps", misfire_grace_time=None)

    story = play(
        crawl_for(60), incidents=outage(2.9, 26), until=night(27), trigger=cron(hour=3), then=add
    )
    assert told(story) == [(3, "ok", None)]
    started = story.row().started_at
    assert started is not None
    assert started >= night(26)


def test_a_restart_begins_where_the_last_look_ended() -> None:
    """Each node restarts twice; no row is written again, and nobody is told twice."""
    alerts: list[tuple[str, list[LedgerRow]]] = []
    ledger = MemoryLedger()

    def register(scheduler: KSTScheduler) -> None:
        node = current_node()

        async def alert(rows: list[LedgerRow]) -> None:
            alerts.append((node, rows))

        job = once(ledger, instance=node)(crawl_for(60))
        scheduler.add_job(job, cron(minute="*/20"), id="nps")
        Reconciler(scheduler, ledger, on_missing=alert).start()

    incidents = [*outage(1.1, 2.3), *outage(3.1, 4.3)]
    story = Night(simulate(register, NIGHT, night(6), 3, incidents), ledger)
    moments = [(row.scheduled_at - NIGHT) / HOUR * 3 for row in story.rows()]
    assert moments == [pytest.approx(number) for number in range(18)]
    missed = [row for row in story.rows() if row.status == "missed"]
    alerted = [row.id for _, rows in alerts for row in rows]
    assert len(missed) == 6
    assert sorted(alerted) == sorted(row.id for row in missed)


def test_the_first_look_begins_the_history() -> None:
    """What a new job would have done yesterday is nobody's affair."""
    ledger = MemoryLedger()
    story = play(crawl_for(60), cron(minute=0), start=night(2.5), until=night(4.5), ledger=ledger)
    assert [hour for hour, _, _ in told(story)] == [3, 4]


def test_an_occurrence_gets_the_time_to_be_claimed_before_it_is_looked_at() -> None:
    """A replica that is two minutes late with all else still finds its occurrence open."""
    looks = Looks()

    def add(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
        reconciler = Reconciler(scheduler, ledger, delay=timedelta(minutes=3))
        for minute in (-5, 2, 4):
            looks.plan(minute, reconciler)

    story = alone(add, incidents=[Crash("A", night(2.99), timedelta(seconds=37))])
    assert [look.nothing_to_do for look in looks.done] == [True, True, False]
    assert looks.done[2].started == [Occurrence("nps", THREE)]
    assert story.row().status == "ok"


def test_replicas_whose_clocks_differ_catch_up_once() -> None:
    """Three that come back together, a few seconds apart by their clocks."""
    nodes = [Node("A", 4), Node("B"), Node("C", -4)]
    story = play(
        crawl_for(600), nodes=nodes, incidents=outage(2.9, 3.2), catch_up=HOUR, trigger=cron(hour=3)
    )
    assert told(story) == [(3, "ok", None)]
    assert story.row().attempt == 1
    assert len(story.seen("ok")) == 1


def test_a_clock_that_is_hours_ahead_calls_nothing_missed_that_is_yet_to_come() -> None:
    """B's clock jumps from 01:00 to 04:00; that 03:00 has gone by there, is for it alone."""
    jump = [ClockJump("B", night(1), 3 * 3600)]
    story = play(crawl_for(60), nodes=2, incidents=jump, until=night(4), catch_up=HOUR)
    assert told(story) == [(3, "ok", None)]
    assert [run.node for run in story.seen("ok")] == ["A"]


def test_a_clock_that_is_hours_behind_does_not_make_a_late_run_look_in_time() -> None:
    """A is back at 05:10, and its clock shows 03:10: the ledger's clock knows better."""
    back = [Crash("A", night(2, 50), night(5, 10) - night(2, 50))]
    jump = [ClockJump("A", night(4), -2 * 3600)]
    story = play(crawl_for(60), nodes=1, incidents=[*back, *jump], catch_up=HOUR)
    assert told(story) == [(3, "missed", "2:10:00 late, catch-up window 1:00:00")]


# --- runs that lost their lease ---------------------------------------------------------------


def test_an_abandoned_run_that_the_next_claim_closes_is_passed_on() -> None:
    """A dies in the run of 03:00, and B's claim of 03:01 comes before its next look."""
    alerted: list[LedgerRow] = []

    async def alert(rows: list[LedgerRow]) -> None:
        alerted.extend(rows)

    ledger = MemoryLedger()
    story = play(
        crawl_for(40),
        cron(hour=3, minute="0,1"),
        nodes=2,
        incidents=[
            Crash("B", night(2), timedelta(seconds=30)),  # so it looks at half minutes
            Crash("A", night(3, 0, 5)),
        ],
        lease=timedelta(seconds=40),
        ledger=ledger,
        reconcile=False,
        then=lambda scheduler: Reconciler(scheduler, ledger, on_missing=alert).start(),
    )
    assert story.statuses() == ["error", "ok"]
    assert list(map(in_shown_times, alerted)) == [story.rows()[0]]


def test_an_abandoned_run_that_came_too_early_waits_until_it_is_due() -> None:
    """B, four minutes ahead, begins the run at 02:56 and dies; at 03:00 it is run by A."""
    story = play(
        crawl_for(600),
        nodes=[Node("A"), Node("B", 240)],
        incidents=[Crash("B", night(2, 57))],
        catch_up=HOUR,
        until=night(4),
    )
    assert told(story) == [
        (3, "ok", "attempt 1 on B lost its lease at 2026-05-09T17:57:40.000000Z")
    ]
    (run,) = story.seen("ok")
    assert (run.node, run.started_at) == ("A", THREE)


def test_what_is_due_does_not_wait_for_a_lost_run_that_is_not() -> None:
    """B starts at 02:55:30, four minutes ahead, runs 03:00 and dies; so 02:57 is skipped.

    A   02:57: skipped, as B runs 03:00 | 02:58: B's lease is over | its next look runs 02:57
    """
    story = play(
        crawl_for(90),
        cron(hour="2-3", minute="0,57"),
        start=night(2, 30, 30),
        nodes=[Node("A"), Node("B", 240)],
        incidents=[Crash("B", night(2, 50), timedelta(seconds=330)), Crash("B", night(2, 57, 5))],
        catch_up=HOUR,
        until=night(3, 1),
    )
    assert story.statuses() == ["ok", "error"]
    assert [run.started_at for run in story.seen("ok")] == [night(2, 58, 30)]


def test_a_job_that_must_not_be_repeated_is_closed() -> None:
    """Its holder crashed in the middle, and nobody knows how far it came."""
    crash = [Crash("A", night(3, 5))]
    story = play(crawl_for(600), incidents=crash, catch_up=HOUR, repeatable=False)
    reason = "abandoned: attempt 1 on A lost its lease; the job is not to be repeated"
    assert told(story) == [(3, "error", reason)]
    row = story.row()
    assert (row.attempt, row.finished_at) == (1, night(3, 5, 40))
    assert f"nps@2026-05-09T18:00:00Z: {reason}" in set(story.result.log["message"])
    assert len(story.seen("ok")) == 0


def test_a_job_that_must_not_be_repeated_is_caught_up_when_it_never_began() -> None:
    """Nothing is repeated then."""
    story = play(crawl_for(60), incidents=outage(2.9, 3.2), catch_up=HOUR, repeatable=False)
    assert told(story) == [(3, "ok", None)]


def test_a_run_that_is_being_stopped_here_is_not_closed() -> None:
    """Its lease ran out while it blocked the event loop; a look after its end closes it."""
    looks = Looks()

    async def block() -> None:
        try:
            time.sleep(300)  # noqa: ASYNC251 - that is the case
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(5)

    def add(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
        reconciler = Reconciler(scheduler, ledger)
        for minute in (-1, 5.02, 5.2):
            looks.plan(minute, reconciler)

    story = alone(add, block, repeatable=False)
    assert [len(look.closed) for look in looks.done] == [0, 0, 1]
    (row,) = told(story)
    assert row[:2] == (3, "error")


def test_an_abandoned_run_that_is_too_late_is_closed() -> None:
    """All replicas crash during the run, and are back when its window is over."""
    story = play(crawl_for(600), incidents=outage(3.1, 4.3), catch_up=HOUR)
    assert told(story) == [
        (
            3,
            "error",
            "abandoned: attempt 1 on A lost its lease; 1:18:00 late, catch-up window 1:00:00",
        )
    ]


def test_an_abandoned_run_gives_way_to_a_newer_occurrence() -> None:
    """Both are in time, and one run is enough for both."""
    lost = "abandoned: attempt 1 on A lost its lease"
    story = play(
        crawl_for(600), cron(hour="3,4"), incidents=outage(3.1, 4.3), catch_up=timedelta(hours=3)
    )
    assert told(story) == [
        (3, "error", f"{lost}; folded into the run of 2026-05-10 04:00:00 KST"),
        (4, "ok", None),
    ]


def test_a_run_by_hand_that_was_abandoned_is_closed() -> None:
    """It was asked for then, and nobody may want it any more."""

    def by_hand(scheduler: KSTScheduler) -> None:
        if current_node() == "A":
            asyncio.get_running_loop().call_later(3600, lambda: scheduler.run_now("nps"))

    story = play(crawl_for(600), incidents=[Crash("A", night(1, 5))], then=by_hand)
    assert told(story)[0] == (
        1,
        "error",
        "abandoned: attempt 1 on A lost its lease; a run by hand is not repeated",
    )


def test_every_attempt_is_named_that_lost_its_lease() -> None:
    """Two replicas crash one after the other, and the third one ends the run."""
    crashes = [Crash("A", night(3, 5)), Crash("B", night(3, 10)), Crash("C", night(3, 15))]
    story = play(crawl_for(600), incidents=crashes[:2], catch_up=HOUR)
    row = story.row()
    assert (row.status, row.attempt, row.instance) == ("ok", 3, "C")
    assert row.error is not None
    assert row.error.startswith("attempt 1 on A lost its lease at 2026-05-09T18:05:40")
    assert "; attempt 2 on B lost its lease at " in row.error
    assert play(crawl_for(600), incidents=crashes, catch_up=HOUR).row().status == "running"


# --- occurrences that were skipped ------------------------------------------------------------


def test_a_skipped_occurrence_is_caught_up_when_the_way_is_free() -> None:
    """The run of 03:00 takes until 03:50, so that of 03:20 is skipped; 03:40 is newer, and runs."""

    async def crawl() -> None:
        long = current_occurrence().scheduled_at == THREE
        await asyncio.sleep(3000 if long else 60)

    story = play(crawl, cron(hour=3, minute="*/20"), catch_up=HOUR)
    assert [(status, reason and reason.split(",")[0]) for _, status, reason in told(story)] == [
        ("ok", None),
        ("skipped", "nps@2026-05-09T18:00:00Z"),
        ("ok", None),
    ]
    started = story.rows()[2].started_at
    assert started is not None
    assert night(3, 50) <= started <= night(3, 51)


def test_a_skipped_occurrence_that_is_too_late_stays_skipped() -> None:
    """Its window of 5 minutes is over when the way is free."""
    story = play(crawl_for(1800), cron(hour=3, minute="0,20"))
    assert [status for _, status, _ in told(story)] == ["ok", "skipped"]


def test_a_busy_lock_is_tried_again_every_minute() -> None:
    """The job runs as soon as the lock is free, within its window."""

    @contextlib.asynccontextmanager
    async def lock() -> AsyncIterator[None]:
        if asyncio.get_running_loop().time() < 3 * 3600 + 600:
            raise LockedOutError("lock 'nps' is held by another run")
        yield

    story = play(crawl_for(60), lock=lock, catch_up=HOUR)
    row = story.row()
    assert row.status == "ok"
    assert row.started_at is not None
    assert night(3, 10) <= row.started_at <= night(3, 11)
    assert len(story.seen("ok")) == 1


# --- while a run is in progress ---------------------------------------------------------------


def test_what_a_long_run_keeps_from_running_is_missed_and_not_started_beside_it() -> None:
    """On one node, max_instances leaves no row; the Reconciler writes what is too late."""
    window = timedelta(minutes=30)
    story = play(crawl_for(170 * 60), cron(hour="0-3"), nodes=1, catch_up=window)
    assert told(story) == [
        (0, "ok", None),
        (1, "missed", "0:31:00 late, catch-up window 0:30:00"),
        (2, "missed", "0:31:00 late, catch-up window 0:30:00"),
        (3, "ok", None),
    ]
    assert len(story.seen("ok")) == 2


def test_a_run_on_another_replica_is_not_disturbed() -> None:
    """Nobody tries every minute to start a run beside it."""
    window = timedelta(hours=2)
    story = play(crawl_for(2 * 3600), cron(hour="3-4"), catch_up=window, until=night(8))
    locked_out = [run.started_at for run in story.seen("locked_out")]
    assert [moment for moment in locked_out if moment < night(5)] == [THREE] * 2 + [night(4)] * 2
    assert [run.scheduled_at for run in story.seen("ok")] == [THREE, night(4)]


def test_a_claim_that_waits_for_the_ledger_is_not_called_missed() -> None:
    """Its window is over, and it has no row yet, but it is about to have one."""
    ledger = SwitchedLedger(
        away=lambda name, now: name == "claim" and 3 * 3600 <= now < 3 * 3600 + 75
    )
    story = play(crawl_for(60), nodes=1, ledger=ledger, grace=1, patience=timedelta(minutes=2))
    assert told(story) == [(3, "ok", None)]


# --- which jobs are looked at -----------------------------------------------------------------


def test_a_paused_job_is_left_alone() -> None:
    """Nothing runs, no row is written, and resuming does not bring back what was forgotten."""

    def pause(scheduler: KSTScheduler) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(1.5 * 3600, lambda: scheduler.pause_job("nps"))
        loop.call_later(3.5 * 3600, lambda: scheduler.resume_job("nps"))

    story = play(crawl_for(60), cron(minute=0), nodes=1, then=pause, catch_up=HOUR)
    assert [(hour, status) for hour, status, _ in told(story)] == [
        (0, "ok"),
        (1, "ok"),
        (4, "ok"),
        (5, "ok"),
    ]


def test_a_paused_scheduler_is_left_alone_and_caught_up_when_it_is_resumed() -> None:
    """Unlike a paused job it forgets nothing."""

    def pause(scheduler: KSTScheduler) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(2.5 * 3600, scheduler.pause)
        loop.call_later(3.2 * 3600, scheduler.resume)

    story = play(crawl_for(60), nodes=1, then=pause, catch_up=HOUR)
    assert told(story) == [(3, "ok", None)]
    started = story.row().started_at
    assert started is not None
    assert night(3.2) <= started <= night(3.2, 1)


def unchecked(scheduler: KSTScheduler, job: object, trigger: object, job_id: str) -> None:
    """Add a job as AsyncIOScheduler does: KSTScheduler refuses jitter under `once`."""
    AsyncIOScheduler.add_job(scheduler, job, trigger, id=job_id)


def test_other_jobs_are_not_looked_at() -> None:
    """A job without `once`, and one on another ledger, are somebody else's affair."""
    looks, other = Looks(), MemoryLedger()

    def add(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
        scheduler.add_job(crawl_for(1), cron(hour=3, jitter=30), id="plain")
        unchecked(scheduler, once(other)(crawl_for(1)), cron(hour=3, jitter=30), "other")
        looks.plan(1, Reconciler(scheduler, ledger))

    alone(add)
    assert len(looks.done) == 1
    assert not looks.errors


def test_a_job_with_bound_arguments_is_looked_at() -> None:
    """A functools.partial of a job is that job."""
    ledger = MemoryLedger()

    async def crawl(month: str) -> int:
        return len(month)

    def register(scheduler: KSTScheduler) -> None:
        job = once(ledger, instance=current_node(), catch_up=HOUR)(crawl)
        scheduler.add_job(partial(job, "202604"), cron(hour=3), id="nps")
        Reconciler(scheduler, ledger).start()

    story = Night(simulate(register, NIGHT, night(6), 3, outage(2.9, 3.2)), ledger)
    assert (story.row().status, story.row().rows) == ("ok", 6)


def test_a_one_shot_job_that_was_missed_is_caught_up() -> None:
    """APScheduler drops it at the restart, as its grace time is over; the window is not."""
    story = play(crawl_for(60), at(THREE), incidents=outage(2.9, 3.2), catch_up=HOUR)
    assert told(story) == [(3, "ok", None)]
    assert len(story.seen("ok")) == 1


def test_a_one_shot_job_that_is_too_late_is_missed() -> None:
    """The row says so once."""
    story = play(crawl_for(60), at(THREE), incidents=outage(2.9, 3.2))
    assert told(story) == [(3, "missed", "0:12:00 late, catch-up window 0:05:00")]


def test_the_last_run_of_a_campaign_is_caught_up() -> None:
    """The job leaves the scheduler when it is started again, and is over, not paused."""
    last = cron(hour=3, end_date=THREE)
    story = play(crawl_for(60), last, incidents=outage(2.9, 3.2), catch_up=HOUR)
    assert told(story) == [(3, "ok", None)]
    assert len(story.seen("ok")) == 1


def test_the_last_run_of_a_campaign_that_is_too_late_is_missed() -> None:
    """As any other run, and once."""
    last = cron(hour=3, end_date=THREE)
    story = play(crawl_for(60), last, incidents=outage(2.9, 3.2))
    assert told(story) == [(3, "missed", "0:12:00 late, catch-up window 0:05:00")]


def test_a_job_that_was_paused_and_taken_away_does_not_run_at_its_end() -> None:
    """It is not over: its owner did not want its last run."""

    def pause_and_remove(scheduler: KSTScheduler) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(2.5 * 3600, scheduler.pause_job, "nps")
        loop.call_later(3 * 3600 + 30, scheduler.remove_job, "nps")

    last = cron(hour=3, end_date=THREE)
    story = play(crawl_for(60), last, nodes=1, then=pause_and_remove, catch_up=HOUR)
    assert told(story) == []


def test_a_one_shot_job_whose_holder_crashed_is_taken_over() -> None:
    """No replica has the job in its scheduler any more."""
    story = play(crawl_for(600), at(THREE), incidents=[Crash("A", night(3, 5))], catch_up=HOUR)
    assert (story.row().status, story.row().attempt) == ("ok", 2)


def test_a_one_shot_job_is_forgotten_once_it_has_ended() -> None:
    """A service that adds many of them does not look at all of them for ever."""
    looks, reconcilers = Looks(), []

    def add(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
        reconciler = Reconciler(scheduler, ledger)
        reconcilers.append(reconciler)
        for minute in (-1, 0.1, 5, 10, 12):
            looks.plan(minute, reconciler)
        for minute in (-0.5, 0.05, 8, 11):
            asyncio.get_running_loop().call_later(
                (night(3, minute) - NIGHT).total_seconds(),
                lambda: kept.append(len(reconciler._jobs.all())),
            )

    kept: list[int] = []
    alone(add, crawl_for(540), trigger=at(THREE))
    assert kept == [1, 1, 1, 0]


def test_a_one_shot_job_that_was_taken_away_does_not_come_back() -> None:
    """Its owner removed it before its date."""

    def remove(scheduler: KSTScheduler) -> None:
        asyncio.get_running_loop().call_later(3600, lambda: scheduler.remove_job("nps"))

    assert play(crawl_for(60), at(THREE), then=remove, catch_up=HOUR).rows() == []


def test_business_days_are_what_their_trigger_says() -> None:
    """An outage from Friday to Tuesday: no row is written for the weekend."""
    friday = kst(2026, 5, 8)
    trigger = on_business_days(cron(hour=3))
    node = [Crash("A", friday + timedelta(hours=2), timedelta(days=4))]
    story = play(
        *(crawl_for(60), trigger),
        start=friday,
        until=friday + timedelta(days=5),
        nodes=1,
        incidents=node,
    )
    assert [(row.scheduled_at, row.status) for row in story.rows()] == [
        (kst(2026, 5, 8, 3), "missed"),
        (kst(2026, 5, 11, 3), "missed"),
        (kst(2026, 5, 12, 3), "ok"),
    ]


def test_a_job_in_another_zone_is_caught_up_on_its_own_clock() -> None:
    """It sees the time of its trigger's zone, as in a scheduled run."""
    seen: list[datetime] = []
    ledger = MemoryLedger()

    async def crawl() -> None:
        seen.append(current_occurrence().scheduled_at)

    def register(scheduler: KSTScheduler) -> None:
        job = once(ledger, instance=current_node(), catch_up=HOUR)(crawl)
        zone = "America/New_York"
        trigger = cron(hour=14, timezone=zone)  # 03:00 KST
        scheduler.add_job(job, trigger, id="nps", allow_timezone=zone)
        Reconciler(scheduler, ledger).start()

    story = Night(simulate(register, NIGHT, night(6), 3, outage(2.9, 3.2)), ledger)
    assert told(story) == [(3, "ok", None)]
    assert [moment.isoformat() for moment in seen] == ["2026-05-09T14:00:00-04:00"]


def test_a_trigger_that_was_exchanged_is_asked_from_then_on() -> None:
    """What the old one had planned for later is no longer due."""

    def exchange(scheduler: KSTScheduler) -> None:
        asyncio.get_running_loop().call_later(
            1.5 * 3600, lambda: scheduler.reschedule_job("nps", trigger=cron(hour="4", minute=30))
        )

    story = play(crawl_for(60), cron(minute=0), nodes=1, then=exchange)
    assert [hour for hour, _, _ in told(story)] == [0, 1, 4.5]


# --- what is refused --------------------------------------------------------------------------


def test_jitter_is_refused_and_other_jobs_are_reconciled() -> None:
    """The error names the job, at each look and already at the start."""
    looks = Looks()

    def add(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
        job = once(ledger, instance="A", catch_up=HOUR)(crawl_for(60))
        reconciler = Reconciler(scheduler, ledger)
        looks.plan(-60, reconciler)
        loop = asyncio.get_running_loop()

        def add_jitter() -> None:
            unchecked(scheduler, job, cron(hour=3, jitter=30), "spread")

        if loop.time() < 1:
            loop.call_later(2.5 * 3600, add_jitter)
        else:
            add_jitter()
            with pytest.raises(InvalidArgumentError, match="job 'spread' cannot be reconciled"):
                reconciler.start()
        looks.plan(20, reconciler)

    crash = Crash("A", night(2, 55), timedelta(minutes=15))
    story = alone(add, incidents=[crash], catch_up=HOUR)
    (error,) = looks.errors
    assert "job 'spread' cannot be reconciled: trigger=" in str(error)
    assert "has jitter=30" in str(error)
    assert ("nps", "ok") in [(row.source, row.status) for row in story.rows()]


class PickyLedger(MemoryLedger):
    """A ledger that fails for one job, in a way that nobody foresaw."""

    async def advance_watermark(self, source: str, until: datetime) -> None:
        """Fail for the job "broken"."""
        if source == "broken":
            raise ZeroDivisionError("its calendar is empty")
        await super().advance_watermark(source, until)


class BrokenQueue:
    """A queue whose tables are gone, or that is away."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def waiting(self, _job_id: str) -> set[datetime]:
        """Fail."""
        raise self._error


def of_id(job_id: str) -> tuple[str, Any]:
    """Return an id, and a function that adds a job of it."""
    return job_id, lambda ledger: once(ledger)(crawl_for(1))


def handed_off(error: Exception) -> tuple[str, Any]:
    """Return an id, and a function that adds a job whose queue fails."""

    def make(ledger: MemoryLedger) -> Any:
        job = once(ledger)(crawl_for(1))
        job.once = replace(job.once, queue=BrokenQueue(error))
        return job

    return "handed off", make


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        (of_id("국민연금-" * 101), "has 505 characters"),
        (of_id("a\0b"), "which a ledger cannot store"),
        (of_id("broken"), "its calendar is empty"),
        (handed_off(RuntimeError("no table")), "no table"),
        (handed_off(LedgerUnavailableError("the queue is away")), "the queue is away"),
    ],
)
def test_a_fault_of_one_job_costs_that_job_alone(faulty: tuple[str, Any], said: str) -> None:
    """Whatever it is: the other job is caught up, and each look says what is wrong."""
    ledger, (job_id, make) = PickyLedger(), faulty

    def add_faulty(scheduler: KSTScheduler) -> None:
        unchecked(scheduler, make(ledger), cron(hour=3), job_id)
        Reconciler(scheduler, ledger).start()

    crash = Crash("A", night(2, 50), timedelta(minutes=30))
    story = play(
        crawl_for(60),
        nodes=1,
        ledger=ledger,
        reconcile=False,
        then=add_faulty,
        incidents=[crash],
        catch_up=HOUR,
        until=night(4),
    )
    assert ("nps", "ok") in [(row.source, row.status) for row in story.rows()]
    log = story.result.log
    faults = log[log["message"].str.contains(said, regex=False)]
    assert len(faults) >= 30
    assert set(faults["level"]) == {"ERROR"}


@in_loop
async def test_rows_are_kept_as_long_as_they_may_be_caught_up() -> None:
    """Otherwise an occurrence could be forgotten, and run again."""
    ledger, scheduler = MemoryLedger(), KSTScheduler()
    job = once(ledger, catch_up=timedelta(days=2))(crawl_for(0))
    scheduler.add_job(job, cron(hour=3), id="nps")
    reconciler = Reconciler(scheduler, ledger, retention=timedelta(days=1))
    said = "job 'nps' cannot be reconciled: its catch-up window is 2 days.* a longer retention="
    with pytest.raises(InvalidArgumentError, match=said):
        reconciler.start()
    scheduler.start()
    with pytest.raises(InvalidArgumentError, match=said):
        await reconciler.reconcile()
    await scheduler.drain(1)


def test_another_scheduler_is_refused() -> None:
    """APScheduler's own cannot run an occurrence whose time has gone by."""
    with pytest.raises(InvalidArgumentError, match=r"run what was missed; write KSTScheduler\(\)"):
        Reconciler(AsyncIOScheduler(), MemoryLedger())


def test_rows_are_kept_for_90_days_by_default() -> None:
    """As DEPLOYMENT.md counts the room that they take."""
    assert inspect.signature(Reconciler).parameters["retention"].default == timedelta(days=90)


def test_delay_and_retention_make_sense() -> None:
    """Neither is negative, and rows live longer than the delay."""
    for options in (
        {"delay": timedelta(seconds=-1)},
        {"delay": timedelta(days=100)},
        {"retention": timedelta(0)},
    ):
        with pytest.raises(InvalidArgumentError, match=r"write delay=timedelta\(seconds=10\)"):
            Reconciler(KSTScheduler(), MemoryLedger(), **options)  # type: ignore[arg-type]


# --- rows, old and many -----------------------------------------------------------------------


def test_old_rows_are_forgotten() -> None:
    """Those of the last days stay, and so does what is running."""
    looks = Looks()

    def add(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
        reconciler = Reconciler(scheduler, ledger, retention=timedelta(days=2))
        looks.plan(3 * 24 * 60, reconciler)

    story = alone(add, trigger=cron(hour=3), until=night(24 * 4))
    assert [row.scheduled_at.astimezone(KST).day for row in story.rows()] == [11, 12, 13]
    assert looks.done[0].deleted == 1


def test_many_old_rows_are_forgotten_by_several_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look ends soon; the next one, a minute later, goes on, and the one after has an hour."""
    monkeypatch.setattr(reconciler_module, "MAX_DELETED", 10)
    looks = Looks()

    def add(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
        reconciler = Reconciler(scheduler, ledger, retention=timedelta(hours=30))
        for minute in range(4):
            looks.plan(2 * 24 * 60 + minute, reconciler)

    alone(add, trigger=cron(hour="*"), until=night(24 * 3), catch_up=HOUR)
    assert [looked.deleted for looked in looks.done] == [10, 10, 2, 0]


def test_what_nobody_knows_any_more_is_closed_in_the_end() -> None:
    """A job that was renamed while it ran is kept as long as rows are, then closed and told."""
    ledger = MemoryLedger()
    crash = Crash("A", night(3, 5))
    told: list[LedgerRow] = []

    async def alert(rows: list[LedgerRow]) -> None:
        told.extend(rows)

    def add(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
        if current_node() != "A":
            scheduler.remove_job("nps")
            days = timedelta(days=2)
            Reconciler(scheduler, ledger, on_missing=alert, retention=days).start()

    story = play(
        crawl_for(600),
        nodes=2,
        incidents=[crash],
        ledger=ledger,
        reconcile=False,
        until=night(24 * 2),
        then=lambda scheduler: add(scheduler, ledger),
    )
    assert story.statuses() == ["running"]
    assert told == []
    again = MemoryLedger()
    story = play(
        crawl_for(600),
        nodes=2,
        incidents=[crash],
        ledger=again,
        reconcile=False,
        until=night(24 * 3),
        then=lambda scheduler: add(scheduler, again),
    )
    assert story.rows() == []  # closed, and then as old as all that is forgotten
    assert [row.error for row in told] == ["abandoned: no job of this name is left"]


def test_after_a_long_outage_one_look_writes_no_more_than_its_limit(
    monkeypatch: pytest.MonkeyPatch, our_log: pytest.LogCaptureFixture
) -> None:
    """The latest are written; how many came before is one line of the log."""
    monkeypatch.setattr(job_reconciler, "MAX_MISSED", 100)
    story = play(crawl_for(1), cron(second=30), nodes=1, incidents=outage(1, 4, "A"))
    missed = [row for row in story.rows() if row.status == "missed"]
    assert len(missed) == 99  # the hundredth was caught up
    assert missed[0].scheduled_at == night(2, 20, 30)
    (record,) = [each for each in our_log.records if each.levelno == logging.ERROR]
    assert record.getMessage() == (
        "nps: 181 runs were due from 2026-05-10 00:59:30+09:00 on; "
        "only the last 100 of them are looked at"
    )


def test_a_missed_run_is_a_line_of_the_log(our_log: pytest.LogCaptureFixture) -> None:
    """One a job and look, whatever their number."""
    play(crawl_for(60), incidents=outage(2.9, 3.2))
    (record,) = our_log.records
    assert record.getMessage() == (
        "1 run(s) were missed, the last is nps@2026-05-09T18:00:00Z: "
        "0:12:00 late, catch-up window 0:05:00"
    )


# --- a ledger that is away, and a hook that fails ---------------------------------------------


def test_a_ledger_that_is_away_puts_the_look_off(our_log: pytest.LogCaptureFixture) -> None:
    """One line a look, and what is left is done when it is back."""
    ledger = SwitchedLedger(away=lambda name, now: name == "look" and now < 3.3 * 3600)
    ledger._watermarks["nps"] = night(2)
    story = play(crawl_for(60), nodes=1, ledger=ledger, incidents=outage(2.9, 3.2, "A"))
    assert told(story) == [(3, "missed", "0:18:00 late, catch-up window 0:05:00")]
    lines = {r.getMessage() for r in our_log.records if r.name.endswith(".reconciler")}
    (line,) = lines
    assert line == (
        "the look is put off by a minute: LedgerUnavailableError"
        "('postgresql://app:***@db/crawl does not answer')"
    )


def test_a_hook_that_fails_is_logged_and_no_more(our_log: pytest.LogCaptureFixture) -> None:
    """The rows are written all the same, and the looks go on."""
    ledger = MemoryLedger()

    def register(scheduler: KSTScheduler) -> None:
        async def fail(rows: list[LedgerRow]) -> None:
            raise ConnectionError(f"no chat for {len(rows)} at https://chat/?token=SECRET")

        scheduler.add_job(once(ledger, instance="A")(crawl_for(60)), cron(minute=0), id="nps")
        Reconciler(scheduler, ledger, on_missing=fail).start()

    story = Night(simulate(register, NIGHT, night(6), 1, outage(1.9, 2.2, "A")), ledger)
    assert story.statuses() == ["ok", "ok", "missed", "ok", "ok", "ok"]
    assert "on_missing failed, so 1 row(s) were not passed on" in our_log.text
    assert "no chat for 1 at https://chat/?token=***" in our_log.text
    assert "SECRET" not in our_log.text


@in_loop
async def test_a_stop_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an on_missing that does not let itself be cancelled: the runs are to be drained."""
    monkeypatch.setattr(reconciler_module, "STOP_SECONDS", 0.01)
    free, at_work = asyncio.Event(), asyncio.Event()

    async def deaf(_rows: list[LedgerRow]) -> None:
        at_work.set()
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    ledger, scheduler = MemoryLedger(), KSTScheduler()
    scheduler.add_job(once(ledger, repeatable=False)(crawl_for(0)), cron(hour=3), id="nps")
    lease = timedelta(microseconds=1)
    of = Occurrence("nps", NIGHT)
    await ledger.claim(ClaimRequest(of, "B", lease, datetime.now(UTC)))
    await asyncio.sleep(0.001)
    reconciler = Reconciler(scheduler, ledger, on_missing=deaf)
    scheduler.start()
    reconciler.start()
    await at_work.wait()
    stop = asyncio.create_task(reconciler.stop())
    done, _ = await asyncio.wait([stop], timeout=20)
    free.set()
    await stop
    assert done
    await scheduler.drain(0)


def test_rows_that_were_written_before_an_outage_are_passed_on() -> None:
    """The look ends in the middle, and its rows will not be written again."""
    looks, alerts = Looks(), []

    class Fragile(MemoryLedger):
        async def advance_watermark(self, source: str, until: datetime) -> None:
            if asyncio.get_running_loop().time() > 3.1 * 3600:
                raise LedgerUnavailableError("gone")
            await super().advance_watermark(source, until)

    async def alert(rows: list[LedgerRow]) -> None:
        alerts.append([row.status for row in rows])

    def add(scheduler: KSTScheduler, ledger: MemoryLedger) -> None:
        reconciler = Reconciler(scheduler, ledger, on_missing=alert)
        looks.plan(-10, reconciler)
        looks.plan(15, reconciler)

    alone(add, ledger=Fragile(), incidents=outage(2.9, 3.2, "A"))
    assert alerts == [["missed"]]
    assert [str(error) for error in looks.errors] == ["gone"]


# --- starting and stopping --------------------------------------------------------------------


@in_loop
async def test_it_is_a_context_manager_and_leaves_nothing_running() -> None:
    """Neither a task nor a listener."""
    ledger, scheduler = MemoryLedger(), KSTScheduler()
    scheduler.add_job(once(ledger)(crawl_for(0)), cron(hour=3), id="nps")
    scheduler.start()
    before = list(scheduler._listeners)
    async with Reconciler(scheduler, ledger) as reconciler:
        reconciler.start()  # twice is once
        while await ledger.watermark("nps") is None:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert scheduler._listeners == before
    await reconciler.stop()
    await scheduler.drain(1)


@in_loop
async def test_a_scheduler_that_is_not_running_is_not_looked_at() -> None:
    """Nothing could be started."""
    ledger, scheduler = MemoryLedger(), KSTScheduler()
    scheduler.add_job(once(ledger)(crawl_for(0)), cron(hour=3), id="nps")
    assert (await Reconciler(scheduler, ledger).reconcile()).nothing_to_do
    assert await ledger.watermark("nps") is None


@in_loop
async def test_a_look_without_work_says_so() -> None:
    """There was nothing to do: each occurrence has its row."""
    ledger, scheduler = MemoryLedger(), KSTScheduler()
    scheduler.add_job(once(ledger)(crawl_for(0)), cron(hour=3), id="nps")
    scheduler.start()
    looked = await Reconciler(scheduler, ledger).reconcile()
    assert looked == ReconcileResult()
    assert looked.nothing_to_do
    assert not ReconcileResult(started=[Occurrence("nps", datetime.now(UTC))]).nothing_to_do
    await scheduler.drain(1)
