from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kst_scheduler.errors import LockedOutError
from ledgers import HOUR, THREE, expire, occurrence, only_row, outcome, request, with_ledger

if TYPE_CHECKING:
    from kst_scheduler.ledger import Ledger


@with_ledger
async def test_a_retry_is_a_further_attempt_of_the_row(ledger: Ledger) -> None:
    """The row is as after a first claim, and says how the attempt before ended."""
    first = await ledger.claim(request())
    await ledger.finish(first, outcome("error", error="ValueError('no such page')", rows=3))
    claim = await ledger.claim(request(instance="B", claimed_at=THREE + HOUR, retry=True))
    assert (claim.row_id, claim.attempt) == (first.row_id, 2)
    row = await only_row(ledger)
    assert (row.status, row.instance, row.claimed_at) == ("running", "B", THREE + HOUR)
    assert row.lease_until is not None
    assert [row.rows, row.duration_ms, row.finished_at] == [None] * 3
    assert row.error == "attempt 1 on A ended as error: ValueError('no such page')"


@with_ledger
async def test_the_note_of_a_retry_outlasts_its_success(ledger: Ledger) -> None:
    """And an attempt that fails tells its own error."""
    for number, instance in enumerate("ABC"):
        claim = await ledger.claim(request(instance=instance, retry=True))
        assert claim.attempt == number + 1
        if instance != "C":
            await ledger.finish(claim, outcome("error", error=f"error of {instance}"))
    await ledger.finish(claim, outcome())
    row = await only_row(ledger)
    assert (row.status, row.error) == ("ok", "attempt 2 on B ended as error: error of B")


@with_ledger
async def test_what_was_cancelled_may_be_tried_again(ledger: Ledger) -> None:
    """A worker that was stopped cut it."""
    await ledger.finish(await ledger.claim(request()), outcome("cancelled"))
    assert (await ledger.claim(request(instance="B", retry=True))).attempt == 2
    assert (await only_row(ledger)).error == "attempt 1 on A ended as cancelled"


@with_ledger
async def test_only_a_retry_is_one(ledger: Ledger) -> None:
    """Any other claim is locked out, as before."""
    for minute, status in enumerate(("error", "cancelled")):
        of = occurrence(minute)
        await ledger.finish(await ledger.claim(request(of)), outcome(status))
        with pytest.raises(LockedOutError, match=f"was claimed by A: {status}$"):
            await ledger.claim(request(of, "B"))


@with_ledger
async def test_what_ended_well_is_not_tried_again(ledger: Ledger) -> None:
    """Nor what was missed."""
    await ledger.finish(await ledger.claim(request()), outcome())
    with pytest.raises(LockedOutError, match=r"was claimed by A: ok$"):
        await ledger.claim(request(retry=True, instance="B"))
    await ledger.record_missed(occurrence(1), "late", "A")
    with pytest.raises(LockedOutError, match=r"was claimed by A: missed$"):
        await ledger.claim(request(occurrence(1), retry=True))


@with_ledger
async def test_the_holder_of_the_attempt_before_writes_nothing(ledger: Ledger) -> None:
    """Its fence is its attempt number, also when it writes again what it wrote."""
    first = await ledger.claim(request())
    await ledger.finish(first, outcome("error"))
    second = await ledger.claim(request(instance="B", retry=True))
    assert not await ledger.finish(first, outcome("error"))
    assert not await ledger.renew(first)
    assert await ledger.finish(second, outcome())


@with_ledger
async def test_a_retry_whose_answer_was_lost_is_the_same_claim(ledger: Ledger) -> None:
    """Asked for again, it has the same attempt."""
    await ledger.finish(await ledger.claim(request()), outcome("error"))
    again = request(instance="B", claimed_at=THREE + HOUR, retry=True)
    assert await ledger.claim(again) == await ledger.claim(again)
    assert (await only_row(ledger)).attempt == 2


@with_ledger
async def test_a_retry_waits_for_another_run_of_the_job(ledger: Ledger) -> None:
    """Its row stays as it is meanwhile; a run that was abandoned is closed."""
    await ledger.finish(await ledger.claim(request()), outcome("error", error="no such page"))
    other = await ledger.claim(request(occurrence(1)))
    with pytest.raises(LockedOutError, match=r"was running$"):
        await ledger.claim(request(instance="B", retry=True))
    rows = {row.occurrence: row for row in await ledger.rows()}
    assert (rows[occurrence()].status, rows[occurrence()].error) == ("error", "no such page")
    await expire(ledger, other)
    assert (await ledger.claim(request(instance="B", retry=True))).attempt == 2
