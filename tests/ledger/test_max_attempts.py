from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.errors import AttemptsUsedUpError, InvalidArgumentError, LockedOutError
from ledgers import HOUR, THREE, expire, occurrence, only_row, outcome, request, with_ledger

if TYPE_CHECKING:
    from kst_scheduler.ledger import Claim, Ledger


async def lose(ledger: Ledger, instance: str, *, retry: bool = False) -> Claim:
    """Claim an attempt, and let its lease run out, as when its process is killed."""
    claim = await ledger.claim(request(instance=instance, retry=retry, max_attempts=3))
    await expire(ledger, claim)
    return claim


@with_ledger
async def test_the_fourth_attempt_closes_the_row(ledger: Ledger) -> None:
    """It is an error that names all attempts, and whoever sends the alerts hears of it once."""
    for instance in "ABC":
        await lose(ledger, instance)
    with pytest.raises(AttemptsUsedUpError, match="was given up: abandoned: not run again, as max"):
        await ledger.claim(request(instance="D", max_attempts=3))
    row = await only_row(ledger)
    assert (row.status, row.attempt, row.lost, row.instance) == ("error", 3, 3, "C")
    assert row.error is not None
    assert row.error.startswith("abandoned: not run again, as max_attempts=3: attempt 1 on A lost ")
    assert "attempt 3 on C lost its lease at 20" in row.error
    assert row.lease_until is None
    assert ledger.closed_by_claims() == [row]
    with pytest.raises(LockedOutError, match=r"was claimed by C: error$"):
        await ledger.claim(request(instance="E", max_attempts=3))
    assert ledger.closed_by_claims() == []


@with_ledger
async def test_the_third_attempt_may_end_well(ledger: Ledger) -> None:
    """Two processes died, and the third one did not."""
    for instance in "AB":
        await lose(ledger, instance)
    claim = await ledger.claim(request(instance="C", max_attempts=3))
    assert claim.attempt == 3
    assert await ledger.finish(claim, outcome())
    row = await only_row(ledger)
    assert (row.status, row.lost) == ("ok", 2)


@with_ledger
async def test_a_retry_is_not_counted_and_ends_with_the_lost_attempts(ledger: Ledger) -> None:
    """What raised is counted by the worker's own strategy, and does not revive a closed row."""
    for _ in range(5):
        claim = await ledger.claim(request(retry=True, max_attempts=3))
        await ledger.finish(claim, outcome("error", error="no answer"))
    for instance in "ABC":
        await lose(ledger, instance, retry=True)
    for _ in range(2):
        with pytest.raises(AttemptsUsedUpError, match="max_attempts=3"):
            await ledger.claim(request(instance="D", retry=True, max_attempts=3))
    row = await only_row(ledger)
    assert (row.status, row.attempt, row.lost) == ("error", 8, 3)
    assert ledger.closed_by_claims() == [row]


@with_ledger
async def test_what_was_skipped_is_not_counted(ledger: Ledger) -> None:
    """A lock that is busy for five looks kills nobody."""
    for _ in range(5):
        claim = await ledger.claim(request(max_attempts=1))
        await ledger.finish(claim, outcome("skipped", error="the lock is busy"))
    claim = await ledger.claim(request(max_attempts=1))
    assert (claim.attempt, (await only_row(ledger)).lost) == (6, 0)


@with_ledger
async def test_a_claim_that_is_made_again_is_not_counted(ledger: Ledger) -> None:
    """Its answer was lost, and not its lease."""
    for _ in range(5):
        await ledger.claim(request(max_attempts=1))
    assert (await only_row(ledger)).lost == 0


@with_ledger
async def test_a_row_that_another_run_closed_is_counted(ledger: Ledger) -> None:
    """Its attempt was lost, whoever noticed."""
    await lose(ledger, "A")
    await ledger.claim(request(occurrence(1), "B"))
    rows = {row.occurrence: row for row in await ledger.rows()}
    assert (rows[occurrence()].status, rows[occurrence()].lost) == ("error", 1)


@with_ledger
async def test_a_long_error_does_not_hide_the_reason(ledger: Ledger) -> None:
    """The text of a row is cut at its end, and the reason is at its beginning."""
    claim = await ledger.claim(request())
    await ledger.finish(claim, outcome("error", error="x" * 2_000))
    await expire(ledger, await ledger.claim(request(claimed_at=THREE + HOUR, retry=True)))
    with pytest.raises(AttemptsUsedUpError):
        await ledger.claim(request(instance="B", max_attempts=1))
    assert ((await only_row(ledger)).error or "").startswith("abandoned: not run again, as max_a")


@with_ledger
async def test_the_end_is_one_line_of_the_log(ledger: Ledger) -> None:
    """At ERROR, with the occurrence and the reason."""
    records: list[logging.LogRecord] = []
    logger = logging.getLogger("kst_scheduler.ledger.claiming")

    def collect(record: logging.LogRecord) -> bool:
        records.append(record)
        return True

    logger.addFilter(collect)
    try:
        await lose(ledger, "A")
        with pytest.raises(AttemptsUsedUpError):
            await ledger.claim(request(instance="B", max_attempts=1))
    finally:
        logger.removeFilter(collect)
    (record,) = records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("nps@2026-05-09T18:00:00Z: abandoned: not run again")


def test_a_request_that_allows_no_attempt_is_refused() -> None:
    """It could never be granted."""
    with pytest.raises(InvalidArgumentError, match="max_attempts=0 allows no attempt"):
        request(max_attempts=0)
