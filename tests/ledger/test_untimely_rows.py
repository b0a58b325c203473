"""Rows that were written before their time: to a clock ahead, nights yet to come look missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger import ClaimRequest, MemoryLedger
from kst_scheduler.ledger.schema import RUNS
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import KST, UTC
from ledgers import HOUR, only_row, outcome, with_ledger

if TYPE_CHECKING:
    from kst_scheduler.ledger import Ledger, LedgerRow

MONTH = timedelta(days=30)


def due(ago: timedelta = timedelta(0), job_id: str = "nps") -> Occurrence:
    """Return an occurrence that was due so long ago."""
    return Occurrence(job_id, (datetime.now(KST) - ago).replace(microsecond=0))


def claim_of(occurrence: Occurrence, instance: str = "A") -> ClaimRequest:
    """Return a request for an occurrence."""
    return ClaimRequest(occurrence, instance, HOUR, datetime.now(UTC))


async def written_at(ledger: Any, moment: datetime) -> None:
    """Let all rows look as if they had been written at some moment of the ledger's clock."""
    if isinstance(ledger, MemoryLedger):
        for row in ledger._rows.find():
            ledger._rows.put(replace(row, written_at=moment))
    else:
        await ledger._database.write(update(RUNS).values(written_at=moment), {})


@with_ledger
async def test_a_row_that_was_written_by_a_clock_ahead_is_claimed_in_time(ledger: Ledger) -> None:
    """A month ahead, tonight was missed; when its time comes, it is run as if without a row."""
    occurrence = due(timedelta(seconds=2))
    await ledger.record_missed(occurrence, "29 days late", "A")
    await written_at(ledger, datetime.now(UTC) + MONTH)
    claim = await ledger.claim(claim_of(occurrence))
    row = await only_row(ledger)
    assert (row.status, row.attempt, row.error, row.written_at) == ("running", 1, None, None)
    with pytest.raises(LockedOutError, match="was claimed by A: running"):
        await ledger.claim(claim_of(occurrence, "B"))
    assert await ledger.finish(claim, outcome())
    assert (await only_row(ledger)).status == "ok"
    with pytest.raises(LockedOutError, match="was claimed by A: ok"):
        await ledger.claim(claim_of(occurrence, "B"))


@with_ledger
async def test_a_row_stands_where_the_process_knows_that_the_clock_is_behind(
    ledger: Ledger,
) -> None:
    """It was written in its time, though that is in the future by the clock of now."""
    is_in_time = True

    async def was_in_time(row: LedgerRow) -> bool:
        return is_in_time and row == await only_row(ledger)

    occurrence = due(HOUR)
    await ledger.record_missed(occurrence, "1:00:00 late", "A")
    await written_at(ledger, datetime.now(UTC) + HOUR)
    request = replace(claim_of(occurrence, "B"), was_in_time=was_in_time)
    with pytest.raises(LockedOutError, match="was claimed by A: missed"):
        await ledger.claim(request)
    is_in_time = False
    assert (await ledger.claim(request)).attempt == 1


@with_ledger
async def test_a_row_of_an_occurrence_that_is_yet_to_come_is_no_obstacle(ledger: Ledger) -> None:
    """It was written before its time by the clock of today."""
    occurrence = due(-HOUR)
    await ledger.record_missed(occurrence, "late", "A")
    assert (await ledger.claim(claim_of(occurrence))).attempt == 1


@with_ledger
async def test_a_row_that_was_written_in_its_time_stands(ledger: Ledger) -> None:
    """Its occurrence is not run, however early or late the claim comes."""
    occurrence = due(HOUR)
    await ledger.record_missed(occurrence, "1:00:00 late", "A")
    with pytest.raises(LockedOutError, match="was claimed by A: missed"):
        await ledger.claim(claim_of(occurrence))


@with_ledger
async def test_only_what_was_missed_can_be_untimely(ledger: Ledger) -> None:
    """A run that was made by a clock ahead was made."""
    occurrence = due(-HOUR)
    assert await ledger.finish(await ledger.claim(claim_of(occurrence)), outcome())
    with pytest.raises(LockedOutError, match="was claimed by A: ok"):
        await ledger.claim(claim_of(occurrence, "B"))
    row = await only_row(ledger)
    assert not row.is_untimely(datetime.now(UTC) - MONTH)


@with_ledger
async def test_what_is_missed_in_the_end_is_written_anew(ledger: Ledger) -> None:
    """With the true reason, and once, so that one replica sends the alert."""
    occurrence = due(HOUR)
    await ledger.record_missed(occurrence, "30 days late", "A")
    await written_at(ledger, datetime.now(UTC) + MONTH)
    assert (await only_row(ledger)).is_untimely(await ledger.now())
    row = await ledger.record_missed(occurrence, "1:00:00 late", "B")
    assert row == await only_row(ledger)
    assert row is not None
    assert (row.status, row.error, row.instance) == ("missed", "1:00:00 late", "B")
    assert not row.is_untimely(await ledger.now())
    assert row.written_at is not None
    assert not row.is_untimely(row.written_at)  # a clock may show the same moment twice
    assert await ledger.record_missed(occurrence, "1:00:01 late", "C") is None


@with_ledger
async def test_a_run_in_the_way_leaves_an_untimely_row_skipped(ledger: Ledger) -> None:
    """So that it may be caught up when the run has ended."""
    before, occurrence = due(timedelta(minutes=1)), due(timedelta(seconds=2))
    await ledger.claim(claim_of(before))
    await ledger.record_missed(occurrence, "30 days late", "A")
    await written_at(ledger, datetime.now(UTC) + MONTH)
    with pytest.raises(LockedOutError, match="was running"):
        await ledger.claim(claim_of(occurrence, "B"))
    (row,) = await ledger.rows(status="skipped")
    assert row.occurrence == replace(occurrence, scheduled_at=row.scheduled_at)


@with_ledger
async def test_a_look_is_taken_back_where_it_is_as_seen(ledger: Ledger) -> None:
    """A look of another replica since then counts more."""
    now = datetime.now(UTC)
    await ledger.advance_watermark("nps", now + MONTH)
    await ledger.reset_watermark("nps", now + HOUR, now)
    assert await ledger.watermark("nps") == now + MONTH
    await ledger.reset_watermark("nps", now + MONTH, now)
    assert await ledger.watermark("nps") == now
    await ledger.reset_watermark("nps", now, now + HOUR)
    assert await ledger.watermark("nps") == now
    await ledger.reset_watermark("token", now, now)
    assert await ledger.watermark("token") is None
