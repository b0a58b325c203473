"""What happens when another replica is quicker, between what a claim saw and what it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger import SqlLedger
from ledgers import expire, occurrence, only_row, opened, outcome, request

if TYPE_CHECKING:
    from kst_scheduler.ledger import ClaimRequest
    from kst_scheduler.ledger.claiming import Obstacles

B = request(instance="B")


@in_loop
async def test_a_run_that_was_renewed_meanwhile_is_not_taken(sql_url: str) -> None:
    """Its lease was over when it was looked at, and holds when it is written."""
    async with opened(SqlLedger(sql_url)) as ledger:
        claim = await ledger.claim(request())
        await expire(ledger, claim)
        seen = (await ledger._claims.obstacles(B)).own
        assert seen is not None
        assert seen.lease_is_over
        await ledger.renew(claim)
        assert not await ledger._claims.retake(seen.row, B, 2, None)
        assert (await only_row(ledger)).instance == "A"


@in_loop
async def test_a_run_that_ended_meanwhile_is_not_taken(sql_url: str) -> None:
    """Nor is one that another replica has taken."""
    async with opened(SqlLedger(sql_url)) as ledger:
        claim = await ledger.claim(request())
        await expire(ledger, claim)
        seen = (await ledger._claims.obstacles(B)).own
        assert seen is not None
        other = await ledger.claim(request(instance="C"))
        assert not await ledger._claims.retake(seen.row, B, 2, None)
        await ledger.finish(other, outcome())
        assert not await ledger._claims.retake(seen.row, B, 2, None)
        assert (await only_row(ledger)).instance == "C"


@in_loop
async def test_a_skipped_occurrence_waits_for_a_run_that_began_meanwhile(sql_url: str) -> None:
    """Nothing was in its way when it was looked at; the index lets no second run be written."""
    async with opened(SqlLedger(sql_url)) as ledger:
        claim = await ledger.claim(request(occurrence(1)))
        with pytest.raises(LockedOutError):
            await ledger.claim(B)
        await ledger.finish(claim, outcome())
        seen = await ledger._claims.obstacles(B)
        assert seen.own is not None
        assert seen.running is None
        await ledger.claim(request(occurrence(2)))
        assert not await ledger._claims.retake(seen.own.row, B, 1, None)
        with pytest.raises(
            LockedOutError, match=r"was not claimed: nps@2026-05-09T18:02:00Z, attempt"
        ):
            await ledger.claim(B)


@in_loop
async def test_what_was_in_the_way_may_be_gone_when_it_is_looked_at(
    sql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is tried again, and had."""
    async with opened(SqlLedger(sql_url)) as ledger:
        blocker = await ledger.claim(request(occurrence(1)))
        look = ledger._claims.obstacles

        async def look_late(wanted: ClaimRequest) -> Obstacles:
            await ledger.finish(blocker, outcome())
            return await look(wanted)

        monkeypatch.setattr(ledger._claims, "obstacles", look_late)
        assert (await ledger.claim(B)).attempt == 1
