from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError, LockedOutError, NaiveDatetimeError
from kst_scheduler.ledger import Claim, ClaimRequest, MemoryLedger
from kst_scheduler.scheduler.occurrence import Occurrence, current_occurrence
from kst_scheduler.simulation import Node, current_node, simulate
from kst_scheduler.timezone import UTC, in_milliseconds, kst
from kst_scheduler.triggers.factories import cron
from ledgers import (
    HOUR,
    THREE,
    NewLedger,
    expire,
    occurrence,
    only_row,
    opened,
    outcome,
    request,
    with_ledger,
)

if TYPE_CHECKING:
    from kst_scheduler.ledger import Ledger


@with_ledger
async def test_a_claim_writes_a_running_row(ledger: Ledger) -> None:
    """The row says who runs what since when, and holds a lease."""
    claim = await ledger.claim(request())
    row = await only_row(ledger)
    assert claim == Claim(row.id, 1, request())
    assert row.occurrence == occurrence()
    assert (row.source, row.status, row.attempt, row.trigger) == ("nps", "running", 1, "schedule")
    assert row.instance == "A"
    assert row.claimed_at == row.started_at == THREE
    assert row.lease_until is not None
    assert [row.rows, row.duration_ms, row.error, row.finished_at] == [None] * 4


@with_ledger
async def test_times_come_back_in_utc(ledger: Ledger) -> None:
    """Whatever zone a time was written in, it is read in UTC, to the microsecond."""
    exact = THREE + timedelta(microseconds=123_456)
    await ledger.claim(request(claimed_at=exact))
    row = await only_row(ledger)
    assert row.scheduled_at.isoformat() == "2026-05-09T18:00:00+00:00"
    assert row.claimed_at is not None
    assert row.claimed_at.isoformat() == "2026-05-09T18:00:00.123456+00:00"


@with_ledger
async def test_who_comes_second_is_locked_out(ledger: Ledger) -> None:
    """The message names the occurrence, who claimed it, and what became of it."""
    claim = await ledger.claim(request())
    with pytest.raises(LockedOutError, match=r"^nps@2026-05-09T18:00:00Z was claimed by A: runn"):
        await ledger.claim(request(instance="B"))
    await ledger.finish(claim, outcome())
    with pytest.raises(LockedOutError, match=r"was claimed by A: ok$"):
        await ledger.claim(request(instance="B"))


@with_ledger
async def test_two_claims_of_one_name_at_one_microsecond_are_two(ledger: Ledger) -> None:
    """Containers on the network of their host share its name, and each has a process 1."""
    twins = [ClaimRequest(occurrence(), "host-1", HOUR, THREE) for _ in range(20)]
    answers = await asyncio.gather(*map(ledger.claim, twins), return_exceptions=True)
    (claim,) = (answer for answer in answers if isinstance(answer, Claim))
    others = [answer for answer in answers if answer is not claim]
    assert {str(other) for other in others} == {
        "nps@2026-05-09T18:00:00Z was claimed by host-1: running"
    }
    assert await ledger.claim(claim.request) == claim
    await expire(ledger, claim)
    successor = await ledger.claim(replace(twins[0], token="another"))  # noqa: S106 - no secret
    assert successor.attempt == 2
    assert not await ledger.renew(claim)
    assert not await ledger.finish(claim, outcome())


@with_ledger
async def test_scheduled_times_count_in_whole_seconds(ledger: Ledger) -> None:
    """An occurrence within the same second is the same one, as in Occurrence.key."""
    await ledger.claim(request())
    later = Occurrence("nps", THREE + timedelta(microseconds=999_999))
    with pytest.raises(LockedOutError, match="was claimed by A"):
        await ledger.claim(request(later, "B"))


@with_ledger
async def test_the_same_request_is_the_same_claim(ledger: Ledger) -> None:
    """A claim whose answer was lost is asked for again and had, with a new lease."""
    claim = await ledger.claim(request())
    assert await ledger.claim(request()) == claim
    await expire(ledger, claim)
    assert await ledger.claim(request()) == claim
    assert await ledger.abandoned() == []


@with_ledger
async def test_the_same_request_in_another_zone_is_the_same_claim(ledger: Ledger) -> None:
    """The instant counts, not how it is written."""
    claim = await ledger.claim(request())
    utc = datetime.fromisoformat("2026-05-09T18:00:00+00:00")
    assert (await ledger.claim(request(claimed_at=utc))).row_id == claim.row_id


@with_ledger
async def test_a_run_that_lost_its_lease_is_taken_over(ledger: Ledger) -> None:
    """The next attempt has the row, and a note of who lost it when."""
    lost = await ledger.claim(request())
    await expire(ledger, lost)
    claim = await ledger.claim(request(instance="B", claimed_at=THREE + HOUR))
    assert (claim.row_id, claim.attempt) == (lost.row_id, 2)
    row = await only_row(ledger)
    assert (row.instance, row.attempt, row.status) == ("B", 2, "running")
    assert row.started_at == row.claimed_at == THREE + HOUR
    assert row.error is not None
    assert row.error.startswith("attempt 1 on A lost its lease at 2")


@with_ledger
async def test_each_lost_attempt_is_noted(ledger: Ledger) -> None:
    """After two of them, the row names both."""
    for instance in "AB":
        await expire(ledger, await ledger.claim(request(instance=instance)))
    claim = await ledger.claim(request(instance="C"))
    assert claim.attempt == 3
    error = (await only_row(ledger)).error or ""
    assert [note[:31] for note in error.split("; ")] == [
        "attempt 1 on A lost its lease a",
        "attempt 2 on B lost its lease a",
    ]


@with_ledger
async def test_what_must_not_run_twice_is_not_taken_over(ledger: Ledger) -> None:
    """A request that says so is locked out, and the row stays as it is."""
    await expire(ledger, await ledger.claim(request()))
    before = await only_row(ledger)
    with pytest.raises(LockedOutError, match="by A, whose lease is over; this job must not run it"):
        await ledger.claim(request(instance="B", take_over=False))
    assert await only_row(ledger) == before


@with_ledger
async def test_only_a_run_whose_lease_is_over_is_asked_about(ledger: Ledger) -> None:
    """A claim that cannot have the row is not put off by what it would have to wait for."""
    asked: list[str] = []

    async def may_take() -> bool:
        asked.append("may it be taken over?")
        return True

    claim = await ledger.claim(request())
    other = replace(request(instance="B"), may_take=may_take)
    with pytest.raises(LockedOutError):
        await ledger.claim(other)
    assert asked == []
    await expire(ledger, claim)
    taken = await ledger.claim(other)
    assert len(asked) == 1
    await ledger.finish(taken, outcome())
    with pytest.raises(LockedOutError):
        await ledger.claim(replace(request(instance="C"), may_take=may_take))
    assert len(asked) == 1


@with_ledger
async def test_the_clients_clock_judges_no_lease(ledger: Ledger) -> None:
    """A replica whose clock is a year ahead, or behind, takes nothing over."""
    await ledger.claim(request(lease=timedelta(seconds=60)))
    for clock in (kst(2100, 1, 1), kst(1999, 1, 1)):
        with pytest.raises(LockedOutError):
            await ledger.claim(request(instance="B", claimed_at=clock))


@with_ledger
async def test_a_lease_lasts_as_long_as_it_says(ledger: Ledger) -> None:
    """A second attempt starts only after the first one's lease is over."""
    lease = timedelta(seconds=0.2)
    began = time.monotonic()
    await ledger.claim(request(lease=lease))
    claim = None
    while claim is None:
        with contextlib.suppress(LockedOutError):
            claim = await ledger.claim(request(instance="B"))
        await asyncio.sleep(0.01)
    assert claim.attempt == 2
    assert time.monotonic() - began >= 0.19  # SQLite's clock has milliseconds


def test_true_time_judges_leases_in_a_simulation() -> None:
    """A node whose clock is behind by more than the lease takes over all the same."""
    ledger, attempts = MemoryLedger(), []

    async def job() -> None:
        asked = request(current_occurrence(), current_node(), HOUR, datetime.now(UTC))
        claim = await ledger.claim(asked)
        claimed_at = in_milliseconds(claim.request.claimed_at)
        attempts.append((claim.request.instance, claim.attempt, claimed_at))

    def register(scheduler: Any) -> None:
        scheduler.add_job(job, cron(hour=3), id="nps")

    nodes = [Node("A"), Node("B", clock_offset=-1.5 * 3600)]
    simulate(register, kst(2026, 5, 10), kst(2026, 5, 10, 6), nodes=nodes)
    assert attempts == [("A", 1, THREE), ("B", 2, THREE)]


@with_ledger
async def test_another_run_of_the_job_is_skipped(ledger: Ledger) -> None:
    """No two runs of a job overlap: the later one has a row that says what was in the way."""
    await ledger.claim(request())
    reason = "nps@2026-05-09T18:00:00Z, attempt 1 on A, was running"
    with pytest.raises(
        LockedOutError, match=f"^nps@2026-05-09T18:01:00Z was not claimed: {reason}$"
    ):
        await ledger.claim(request(occurrence(1), "B"))
    skipped, running = await ledger.rows()
    assert (skipped.status, skipped.attempt, skipped.instance) == ("skipped", 0, "B")
    assert skipped.error == reason
    assert [skipped.started_at, skipped.claimed_at, skipped.lease_until] == [None] * 3
    assert running.status == "running"


@with_ledger
async def test_other_jobs_run_meanwhile(ledger: Ledger) -> None:
    """What runs of one job is in no other's way."""
    await ledger.claim(request())
    assert (await ledger.claim(request(occurrence(job_id="token")))).attempt == 1


@with_ledger
async def test_skipped_is_not_final(ledger: Ledger) -> None:
    """Once nothing is in its way any more, the occurrence may be claimed."""
    claim = await ledger.claim(request())
    for _ in range(2):  # skipped again, it stays one row
        with pytest.raises(LockedOutError, match="was not claimed"):
            await ledger.claim(request(occurrence(1), "B"))
    await ledger.finish(claim, outcome())
    assert (await ledger.claim(request(occurrence(1), "C"))).attempt == 1
    row, _ = await ledger.rows()
    assert (row.status, row.instance, row.error) == ("running", "C", None)


@with_ledger
async def test_a_retry_behind_another_run_is_not_called_skipped(ledger: Ledger) -> None:
    """Its row keeps the error of its first attempt, so nothing says that it was skipped."""
    await ledger.finish(await ledger.claim(request()), outcome("error", error="ValueError: no"))
    await ledger.claim(request(occurrence(1), "B"))
    with pytest.raises(LockedOutError, match=r"^nps@2026-05-09T18:00:00Z was not claimed: nps@"):
        await ledger.claim(replace(request(), retry=True))
    assert [(row.status, row.error) for row in await ledger.rows()] == [
        ("running", None),
        ("error", "ValueError: no"),
    ]


@with_ledger
async def test_an_abandoned_run_makes_way(ledger: Ledger) -> None:
    """A run that lost its lease is closed by the next occurrence, skipped before or not."""
    lost = await ledger.claim(request())
    with pytest.raises(LockedOutError):
        await ledger.claim(request(occurrence(1), "B"))
    await expire(ledger, lost)
    for minute in (1, 2):
        claim = await ledger.claim(request(occurrence(minute), "B"))
        assert claim.attempt == 1
        await ledger.finish(claim, outcome())
    assert [row.status for row in await ledger.rows()] == ["ok", "ok", "error"]
    closed = (await ledger.rows())[-1]
    assert (closed.error or "").startswith("abandoned: attempt 1 on A lost its lease at ")
    assert closed.lease_until is None
    assert closed.finished_at is not None
    assert not await ledger.finish(lost, outcome())


@with_ledger
async def test_manual_runs_have_a_key_of_their_own(ledger: Ledger) -> None:
    """A manual run at the very second of a scheduled one is another occurrence."""
    for number in range(3):
        of = Occurrence("nps", THREE + timedelta(microseconds=number), manual=number > 0)
        await ledger.finish(await ledger.claim(request(of)), outcome())
    rows = await ledger.rows()
    assert [row.trigger for row in rows] == ["manual", "manual", "schedule"]
    assert [row.scheduled_at.microsecond for row in rows] == [2, 1, 0]
    assert rows[0].occurrence.manual


@with_ledger
async def test_a_manual_run_overlaps_nothing(ledger: Ledger) -> None:
    """One running row of a job, however it was started."""
    await ledger.claim(request())
    with pytest.raises(LockedOutError, match="/manual was not claimed: nps@2026-05-09T18:00:00Z, "):
        await ledger.claim(request(occurrence(manual=True)))


async def race(new_ledger: NewLedger, requests: list[ClaimRequest]) -> list[Claim]:
    """Send all requests at once over five ledgers on the same rows; return who got something."""
    async with contextlib.AsyncExitStack() as stack:
        ledgers = [await stack.enter_async_context(opened(new_ledger())) for _ in range(5)]
        answers = await asyncio.gather(
            *(ledgers[n % 5].claim(each) for n, each in enumerate(requests)), return_exceptions=True
        )
    kinds = Counter(type(answer) for answer in answers)
    assert set(kinds) <= {Claim, LockedOutError}, answers
    return [answer for answer in answers if isinstance(answer, Claim)]


@in_loop
async def test_of_fifty_at_once_one_gets_the_occurrence(new_ledger: NewLedger) -> None:
    """Claims over several connections leave one row and one claim."""
    (claim,) = await race(new_ledger, [request(instance=str(n)) for n in range(50)])
    async with opened(new_ledger()) as ledger:
        row = await only_row(ledger)
    assert (row.id, row.instance, row.attempt) == (claim.row_id, claim.request.instance, 1)


@in_loop
async def test_of_fifty_at_once_one_takes_over(new_ledger: NewLedger) -> None:
    """An abandoned run has one second attempt."""
    async with opened(new_ledger()) as ledger:
        await expire(ledger, await ledger.claim(request()))
    (claim,) = await race(new_ledger, [request(instance=str(n)) for n in range(50)])
    assert claim.attempt == 2


@in_loop
async def test_of_fifty_occurrences_at_once_one_runs(new_ledger: NewLedger) -> None:
    """The other 49 are skipped; none is without a row."""
    (claim,) = await race(new_ledger, [request(occurrence(n)) for n in range(50)])
    async with opened(new_ledger()) as ledger:
        rows = await ledger.rows()
    assert Counter(row.status for row in rows) == {"running": 1, "skipped": 49}
    assert next(row.id for row in rows if row.status == "running") == claim.row_id


@in_loop
async def test_fifty_claims_past_an_abandoned_run_and_skipped_rows(new_ledger: NewLedger) -> None:
    """However the writes cross, one runs, and all rows that there were stay single."""
    async with opened(new_ledger()) as ledger:
        lost = await ledger.claim(request())
        for minute in range(1, 26):
            with pytest.raises(LockedOutError):
                await ledger.claim(request(occurrence(minute)))
        await expire(ledger, lost)
    claims = await race(new_ledger, [request(occurrence(1 + n)) for n in range(50)])
    assert len(claims) == 1
    async with opened(new_ledger()) as ledger:
        rows = await ledger.rows()
    assert Counter(row.status for row in rows) == {"running": 1, "skipped": 49, "error": 1}


def test_bad_requests() -> None:
    """A request that no ledger can keep is refused before any ledger sees it."""
    with pytest.raises(NaiveDatetimeError, match=r"claimed_at=.* has no time zone"):
        request(claimed_at=datetime(2026, 5, 10))  # noqa: DTZ001
    with pytest.raises(
        InvalidArgumentError, match=r"lease=.* is over before it begins; write time"
    ):
        request(lease=timedelta(0))
    with pytest.raises(InvalidArgumentError, match=r"instance='A.x00' has the character '.x00'"):
        request(instance="A\0")
    with pytest.raises(
        InvalidArgumentError, match=r"job_id='x{20}'\.\.\. has 501 characters; .* 500"
    ):
        request(Occurrence("x" * 501, THREE))
    with pytest.raises(InvalidArgumentError, match="which a ledger cannot store; leave it out"):
        request(replace(occurrence(), job_id="nps\ud800"))
