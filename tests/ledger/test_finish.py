from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.errors import InvalidArgumentError, LockedOutError, NaiveDatetimeError
from kst_scheduler.ledger import Outcome
from ledgers import (
    HOUR,
    THREE,
    expire,
    occurrence,
    only_row,
    outcome,
    request,
    with_ledger,
)

if TYPE_CHECKING:
    from kst_scheduler.ledger import Ledger


@with_ledger
async def test_finish_writes_how_the_run_ended(ledger: Ledger) -> None:
    """Status, count, duration and error stand in the row, and the lease is gone."""
    claim = await ledger.claim(request())
    ended = outcome("error", second=1.2345, rows=7, error="ValueError('no')")
    assert await ledger.finish(claim, ended)
    row = await only_row(ledger)
    assert (row.status, row.rows, row.duration_ms, row.error) == (
        "error",
        7,
        1234,
        "ValueError('no')",
    )
    assert row.started_at == THREE
    assert row.finished_at == THREE + timedelta(seconds=1.2345)
    assert row.lease_until is None


@with_ledger
async def test_the_same_finish_twice_is_one_write(ledger: Ledger) -> None:
    """A finish whose answer was lost may be repeated; another outcome changes nothing."""
    claim = await ledger.claim(request())
    assert await ledger.finish(claim, outcome(rows=7))
    before = await only_row(ledger)
    assert await ledger.finish(claim, outcome(rows=7))
    assert not await ledger.finish(claim, outcome("cancelled"))
    assert not await ledger.finish(claim, outcome(second=6))
    assert await only_row(ledger) == before


@with_ledger
async def test_a_holder_that_was_taken_over_writes_nothing(ledger: Ledger) -> None:
    """The attempt number is a fence, for the lease and for the end."""
    lost = await ledger.claim(request())
    await expire(ledger, lost)
    claim = await ledger.claim(request(instance="B"))
    before = await only_row(ledger)
    assert not await ledger.renew(lost)
    assert not await ledger.finish(lost, outcome())
    assert await only_row(ledger) == before
    assert await ledger.renew(claim)
    assert await ledger.finish(claim, outcome())
    assert not await ledger.finish(lost, outcome(second=6))


@with_ledger
async def test_a_lease_that_ran_out_unnoticed_is_no_loss(ledger: Ledger) -> None:
    """As long as nobody took the run over, its holder renews and finishes."""
    claim = await ledger.claim(request())
    await expire(ledger, claim)
    assert await ledger.renew(claim)
    assert await ledger.abandoned() == []
    await expire(ledger, claim)
    assert await ledger.finish(claim, outcome())


@with_ledger
async def test_no_renewal_after_the_end(ledger: Ledger) -> None:
    """A run that has ended holds no lease."""
    claim = await ledger.claim(request())
    await ledger.finish(claim, outcome())
    assert not await ledger.renew(claim)


@with_ledger
async def test_renew_moves_the_lease(ledger: Ledger) -> None:
    """It counts from the renewal on, by the ledger's clock."""
    claim = await ledger.claim(request())
    first = (await only_row(ledger)).lease_until
    assert await ledger.renew(claim)
    second = (await only_row(ledger)).lease_until
    assert first is not None
    assert second is not None
    assert first <= second < first + HOUR


@with_ledger
async def test_a_good_end_keeps_the_note_of_a_takeover(ledger: Ledger) -> None:
    """An outcome without an error leaves what stood there; one with an error replaces it."""
    await expire(ledger, await ledger.claim(request()))
    await ledger.finish(await ledger.claim(request(instance="B")), outcome())
    row = await only_row(ledger)
    assert row.status == "ok"
    assert (row.error or "").startswith("attempt 1 on A lost its lease at ")


@with_ledger
async def test_a_run_that_ends_as_skipped_never_started(ledger: Ledger) -> None:
    """It has no start to be measured by, and may be claimed as a further attempt."""
    claim = await ledger.claim(request())
    await ledger.finish(claim, outcome("skipped", error="the lock was busy"))
    row = await only_row(ledger)
    assert (row.status, row.attempt, row.error) == ("skipped", 1, "the lock was busy")
    assert row.started_at is None
    again = await ledger.claim(request(instance="B"))
    assert (again.row_id, again.attempt) == (claim.row_id, 2)
    assert (await only_row(ledger)).error is None


@with_ledger
async def test_an_end_is_final(ledger: Ledger) -> None:
    """What has run is not run again, however it ended."""
    for minute, status in enumerate(["ok", "error", "cancelled"]):
        claim = await ledger.claim(request(occurrence(minute)))
        await ledger.finish(claim, outcome(status))
        with pytest.raises(LockedOutError, match=f"was claimed by A: {status}"):
            await ledger.claim(request(occurrence(minute), "B"))


@with_ledger
async def test_long_errors_are_cut(ledger: Ledger) -> None:
    """An error has 2,000 characters at most, and one of 2,000 is whole."""
    for minute, (length, stored) in enumerate(
        [(1_000_000, "가" * 1_999 + "…"), (2_000, "가" * 2_000)]
    ):
        claim = await ledger.claim(request(occurrence(minute)))
        await ledger.finish(claim, outcome("error", error="가" * length))
        (row, *_) = await ledger.rows()
        assert row.error == stored


@with_ledger
async def test_a_secret_that_the_cut_divides_is_not_stored(ledger: Ledger) -> None:
    """Neither what is left of a key nor of a password is in the row."""
    for minute, secret in enumerate(["serviceKey=SSSSSSSS", "redis://:SSSSSSSS@cache:6379/0"]):
        claim = await ledger.claim(request(occurrence(minute)))
        text = f"{'x' * (2_000 - len(secret))} {secret} {'x' * 2_000}"
        await ledger.finish(claim, outcome("error", error=text))
        (row, *_) = await ledger.rows()
        assert row.error is not None
        assert "S" not in row.error
        assert row.error.startswith("x" * 1_900)


@with_ledger
async def test_errors_hold_no_password_and_nothing_that_cannot_be_stored(ledger: Ledger) -> None:
    """What a database would refuse is spelled out: an error is never lost for its spelling."""
    text = "postgresql://app:secret@db/crawl \0 \ud800 \x1b '; DROP TABLE crawl_runs; --"
    await ledger.finish(await ledger.claim(request()), outcome("error", error=text))
    assert (await only_row(ledger)).error == (
        "postgresql://app:***@db/crawl \\x00 \\ud800 \x1b '; DROP TABLE crawl_runs; --"
    )


@with_ledger
async def test_the_largest_counts(ledger: Ledger) -> None:
    """Counts and durations up to a database's bigint are kept."""
    longest = timedelta(days=999_999_999)
    await ledger.finish(await ledger.claim(request()), Outcome("ok", THREE, longest, 2**63 - 1))
    row = await only_row(ledger)
    assert row.rows == 2**63 - 1
    assert row.duration_ms == 999_999_999 * 86_400_000


def test_bad_outcomes() -> None:
    """An outcome that no row can hold is refused before any ledger sees it."""
    with pytest.raises(
        InvalidArgumentError, match=r"'fail' is not how a run ends; .* ok, error, ca"
    ):
        outcome("fail")
    with pytest.raises(InvalidArgumentError, match="rows has 21 digits"):
        outcome(rows=10**20)
    with pytest.raises(NaiveDatetimeError, match=r"finished_at=.* has no time zone"):
        Outcome("ok", datetime(2026, 5, 10), HOUR)  # noqa: DTZ001


@with_ledger
async def test_a_run_of_another_job_is_not_mistaken(ledger: Ledger) -> None:
    """Each claim writes its own row only."""
    first = await ledger.claim(request())
    second = await ledger.claim(request(occurrence(job_id="token")))
    await ledger.finish(second, outcome(rows=2))
    await ledger.finish(first, outcome(rows=1))
    assert {row.source: row.rows for row in await ledger.rows()} == {"nps": 1, "token": 2}
