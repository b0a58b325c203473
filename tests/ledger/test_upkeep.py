from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.errors import InvalidArgumentError, LockedOutError, NaiveDatetimeError
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import UTC
from ledgers import HOUR, THREE, expire, occurrence, only_row, outcome, request, with_ledger

if TYPE_CHECKING:
    from kst_scheduler.ledger import Ledger


@with_ledger
async def test_the_ledgers_clock_is_the_one_that_judges_leases(ledger: Ledger) -> None:
    """A lease of an hour ends an hour after it."""
    before = await ledger.now()
    await ledger.claim(request())
    row, after = await only_row(ledger), await ledger.now()
    assert row.lease_until is not None
    assert before <= row.lease_until - HOUR <= after
    assert abs(datetime.now(UTC) - after) < HOUR


@with_ledger
async def test_what_a_claim_closes_is_told_once(ledger: Ledger) -> None:
    """The run at 03:00 was abandoned, and the claim of 03:01 closes it."""
    await expire(ledger, await ledger.claim(request()))
    await ledger.claim(request(occurrence(1), instance="B"))
    (closed,) = ledger.closed_by_claims()
    assert (closed.occurrence, closed.status, closed.instance) == (occurrence(), "error", "A")
    assert ledger.closed_by_claims() == []


@with_ledger
async def test_record_missed_writes_a_row_that_never_ran(ledger: Ledger) -> None:
    """It says who noticed and why it was missed."""
    row = await ledger.record_missed(occurrence(), "2:10:00 late", "A")
    assert row == await only_row(ledger)
    assert (row.status, row.attempt, row.instance, row.error) == ("missed", 0, "A", "2:10:00 late")
    assert [row.claimed_at, row.lease_until, row.started_at, row.finished_at] == [None] * 4


@with_ledger
async def test_record_missed_leaves_a_row_that_is_there(ledger: Ledger) -> None:
    """Of two replicas that notice, one writes; and what ran was not missed."""
    assert await ledger.record_missed(occurrence(), "late", "A")
    assert await ledger.record_missed(occurrence(), "late", "B") is None
    await ledger.claim(request(occurrence(1)))
    assert await ledger.record_missed(occurrence(1), "late", "B") is None
    assert [row.status for row in await ledger.rows()] == ["running", "missed"]


@with_ledger
async def test_missed_is_final(ledger: Ledger) -> None:
    """Who comes late to a missed occurrence is locked out."""
    await ledger.record_missed(occurrence(), "late", "A")
    with pytest.raises(LockedOutError, match="was claimed by A: missed"):
        await ledger.claim(request(instance="B"))


@with_ledger
async def test_a_run_in_progress_keeps_no_other_from_being_missed(ledger: Ledger) -> None:
    """Missed rows of a job do not wait for its run."""
    await ledger.claim(request())
    assert await ledger.record_missed(occurrence(1), "late", "A")


@with_ledger
async def test_abandoned_rows_are_those_whose_lease_is_over(ledger: Ledger) -> None:
    """Not those that work, nor those that ended."""
    jobs = ["a", "b", "c", "d"]
    claims = [await ledger.claim(request(occurrence(job_id=job))) for job in jobs]
    for claim in claims[:3]:
        await expire(ledger, claim)
    await ledger.finish(claims[2], outcome())
    assert [row.source for row in await ledger.abandoned()] == ["a", "b"]


@with_ledger
async def test_an_abandoned_row_is_closed_as_error(ledger: Ledger) -> None:
    """Its end is the end of its lease, and the holder writes nothing any more."""
    claim = await ledger.claim(request())
    await expire(ledger, claim)
    (abandoned,) = await ledger.abandoned()
    closed = await ledger.close_abandoned(abandoned, "must not run twice")
    assert closed == await only_row(ledger)
    assert closed == replace(
        abandoned,
        status="error",
        error="must not run twice",
        lease_until=None,
        finished_at=abandoned.lease_until,
        lost=1,
    )
    assert not await ledger.renew(claim)
    assert not await ledger.finish(claim, outcome())
    assert await ledger.close_abandoned(abandoned, "again") is None


@with_ledger
async def test_what_came_back_is_not_closed(ledger: Ledger) -> None:
    """A row that was renewed, ended or taken over since it was read is left alone."""
    claim = await ledger.claim(request())
    await expire(ledger, claim)
    (abandoned,) = await ledger.abandoned()
    await ledger.renew(claim)
    assert await ledger.close_abandoned(abandoned, "gone") is None
    await expire(ledger, claim)
    assert await ledger.close_abandoned(abandoned, "gone") is None
    (again,) = await ledger.abandoned()
    await ledger.claim(request(instance="B"))
    assert await ledger.close_abandoned(again, "gone") is None
    assert (await only_row(ledger)).status == "running"


@with_ledger
async def test_a_row_that_works_is_not_closed(ledger: Ledger) -> None:
    """Whoever says that it is abandoned, the ledger's clock judges."""
    await ledger.claim(request())
    assert await ledger.close_abandoned(await only_row(ledger), "gone") is None


@with_ledger
async def test_a_watermark_moves_on_and_never_back(ledger: Ledger) -> None:
    """Each job has its own; of two replicas the later look counts."""
    assert await ledger.watermark("nps") is None
    for moment in (THREE, THREE - HOUR, THREE + HOUR, THREE):
        await ledger.advance_watermark("nps", moment)
    assert await ledger.watermark("nps") == THREE + HOUR
    assert await ledger.watermark("token") is None


@with_ledger
async def test_delete_before_deletes_what_ended_long_ago(ledger: Ledger) -> None:
    """Rows before the moment go, except for one that runs; and an occurrence is new again."""
    await ledger.finish(await ledger.claim(request()), outcome())
    await ledger.record_missed(occurrence(1), "late", "A")
    await ledger.claim(request(occurrence(2)))
    await ledger.record_missed(occurrence(3), "late", "A")
    assert await ledger.delete_before(THREE + timedelta(minutes=3)) == 2
    assert [row.status for row in await ledger.rows()] == ["missed", "running"]
    assert await ledger.delete_before(THREE + timedelta(minutes=3)) == 0
    assert await ledger.record_missed(occurrence(), "late", "A")


@with_ledger
async def test_an_id_is_never_used_again(ledger: Ledger) -> None:
    """A claim that outlived its row cannot end another one's."""
    claim = await ledger.claim(request())
    await ledger.finish(claim, outcome())
    await ledger.delete_before(THREE + HOUR)
    other = await ledger.claim(request(occurrence(1)))
    assert other.row_id > claim.row_id
    assert not await ledger.finish(claim, outcome())


@with_ledger
async def test_bad_input(ledger: Ledger) -> None:
    """Naive times and names that cannot be stored are refused by every store alike."""
    naive = datetime(2026, 5, 10)  # noqa: DTZ001
    with pytest.raises(NaiveDatetimeError, match=r"until=.* has no time zone"):
        await ledger.advance_watermark("nps", naive)
    with pytest.raises(NaiveDatetimeError, match=r"before=.* has no time zone"):
        await ledger.delete_before(naive)
    for bad in ("nps\0", "\udcff", "x" * 501):
        with pytest.raises(InvalidArgumentError, match="job_id="):
            await ledger.record_missed(Occurrence(bad, THREE), "late", "A")
        with pytest.raises(InvalidArgumentError, match="instance="):
            await ledger.record_missed(occurrence(), "late", bad)
        with pytest.raises(InvalidArgumentError, match="source="):
            await ledger.advance_watermark(bad, THREE)
        with pytest.raises(InvalidArgumentError, match="source="):
            await ledger.watermark(bad)
        with pytest.raises(InvalidArgumentError, match="source="):
            await ledger.rows(bad)
        with pytest.raises(InvalidArgumentError, match="source="):
            await ledger.history(bad)
    assert await ledger.rows() == []
