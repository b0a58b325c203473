"""The same looks at real ledgers, in real time: what the simulations prove in memory."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from in_loop import in_loop
from kst_scheduler.fire_times import fire_times
from kst_scheduler.ledger import ClaimRequest
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler, ReconcileResult
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.factories import at, every
from replicas import crawl_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from apscheduler.triggers.base import BaseTrigger

    from kst_scheduler.ledger import Ledger

    Look = Callable[[], Awaitable[ReconcileResult]]
    NewLedger = Callable[[], Ledger]

HOUR = timedelta(hours=1)


@contextlib.asynccontextmanager
async def opened(new_ledger: NewLedger) -> AsyncIterator[Ledger]:
    """Yield a ledger that is closed in any case."""
    ledger = new_ledger()
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()


@contextlib.asynccontextmanager
async def started(ledger: Ledger, trigger: BaseTrigger) -> AsyncIterator[Look]:
    """Run a scheduler with one job that runs once, and yield what looks at it."""
    scheduler = KSTScheduler()
    reconciler = Reconciler(scheduler, ledger, delay=timedelta(0))
    job = once(ledger, catch_up=HOUR, instance="B")(crawl_for(0))
    scheduler.add_job(job, trigger, id="nps", misfire_grace_time=1)

    async def idle() -> None:
        while scheduler.running_occurrences():  # noqa: ASYNC110 - nothing to wait for but it
            await asyncio.sleep(0.001)

    async def look() -> ReconcileResult:
        looked = await reconciler.reconcile()
        await idle()
        return looked

    scheduler.start()
    await asyncio.sleep(0)
    await idle()  # APScheduler has dropped a one-shot job whose grace time is over
    try:
        yield look
    finally:
        await scheduler.drain(1)


async def claimed_and_lost(ledger: Ledger, occurrence: Occurrence) -> None:
    """Claim for a moment, and never be heard of again."""
    request = ClaimRequest(occurrence, "A", timedelta(seconds=0.05), datetime.now(UTC))
    await ledger.claim(request)
    while not await ledger.abandoned():  # noqa: ASYNC110 - the ledger's clock decides
        await asyncio.sleep(0.01)


@in_loop
async def test_what_was_missed_is_caught_up_and_written(new_ledger: NewLedger) -> None:
    """Three hours of an outage, and a window of one hour."""
    trigger = every(minutes=10)
    since = datetime.now(UTC) - 3 * HOUR
    async with opened(new_ledger) as ledger:
        await ledger.advance_watermark("nps", since)
        async with started(ledger, trigger) as look:
            looked = await look()
            until = await ledger.watermark("nps")
            rows = {row.scheduled_at: row for row in await ledger.rows()}
            assert (await look()).nothing_to_do
    assert until is not None
    (caught_up,) = looked.started
    assert rows[caught_up.scheduled_at].status == "ok"
    assert caught_up.scheduled_at == until == max(rows)
    due = fire_times(trigger, since, until + timedelta(seconds=1))
    assert set(rows) == set(due.to_pydatetime())
    missed = {row.id for row in rows.values() if row.status == "missed"}
    assert {row.id for row in looked.missed} == missed
    assert len(missed) == len(rows) - 1


@in_loop
async def test_an_abandoned_run_is_taken_over(new_ledger: NewLedger) -> None:
    """By a replica whose scheduler has dropped the job, as its date has gone by."""
    moment = (datetime.now(KST) - timedelta(minutes=5)).replace(microsecond=0)
    occurrence = Occurrence("nps", moment)
    async with opened(new_ledger) as ledger:
        await ledger.advance_watermark("nps", moment - HOUR)
        await claimed_and_lost(ledger, occurrence)
        async with started(ledger, at(moment)) as look:
            assert (await look()).started == [occurrence]
        (row,) = await ledger.rows()
    assert (row.status, row.attempt, row.instance) == ("ok", 2, "B")
    assert row.error is not None
    assert row.error.startswith("attempt 1 on A lost its lease")


@in_loop
async def test_a_run_by_hand_that_was_abandoned_is_closed(new_ledger: NewLedger) -> None:
    """Nobody repeats it."""
    by_hand = Occurrence("nps", datetime.now(UTC), manual=True)
    async with opened(new_ledger) as ledger:
        await claimed_and_lost(ledger, by_hand)
        async with started(ledger, every(weeks=50)) as look:
            (closed,) = (await look()).closed
            assert (await look()).nothing_to_do
    assert (closed.status, closed.occurrence) == ("error", by_hand)
