"""How an occurrence is claimed: the same steps over every store, each step one atomic write.

The first step is the whole way of an undisturbed claim: one insert. What stands in the way is only
looked at when that insert met something. To take or to close a row, the write names what was seen,
so that it does nothing when another replica was quicker; then it is looked at again::

    A   insert: row 7, running
    B                          insert: meets row 7 | reads it: running, its lease holds | locked out

The unique index of (namespace, source, scheduled_at, trigger) is what saves it: of two inserts one
meets the other's row, whichever came first. Another one, of the running rows alone, does the same
for two occurrences of a job.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from kst_scheduler.errors import AttemptsUsedUpError, LockedOutError
from kst_scheduler.ledger.contract import Claim, LedgerRow

if TYPE_CHECKING:
    from collections import deque

    from kst_scheduler.ledger.contract import ClaimRequest


MAX_CLOSED: Final = 1_000
"""How many closed rows a store keeps where nobody asks for them."""

_LOGGER: Final = logging.getLogger(__name__)


class Obstacle(NamedTuple):
    """A row that stands in the way of a claim."""

    row: LedgerRow
    lease_is_over: bool
    """By the ledger's clock, when the row was read."""
    is_same_claim: bool
    """Whether this very request has the row: its answer was lost."""
    is_untimely: bool
    """Whether it was called missed before its time, by the ledger's clock."""
    function: str | None
    """What ran, or was to run, where the row was claimed; None: it was not."""


class Obstacles(NamedTuple):
    """What stands in the way of a claim."""

    own: Obstacle | None
    """The row of the occurrence itself."""
    running: Obstacle | None
    """The row of its job that is running; there is never more than one."""

    @property
    def has_lease_that_is_over(self) -> bool:
        """Whether the run in the way may be taken over or closed."""
        return self.running is not None and self.running.lease_is_over

    def as_in_progress(self) -> Obstacles:
        """Return the same, where no lease counts as over."""
        return Obstacles(*(each and each._replace(lease_is_over=False) for each in self))


class ClaimStore(Protocol):
    """What a store has to offer, so that ``claim_occurrence`` can claim."""

    closed: deque[LedgerRow]
    """Abandoned rows that ``claim_occurrence`` has closed, for whoever sends the alerts."""

    others: set[tuple[str, str]]
    """The jobs, and the functions of others, of which a warning was logged."""

    async def insert(self, request: ClaimRequest) -> int | None:
        """Insert a running row; return its id, or None when any row stands in the way."""

    async def obstacles(self, request: ClaimRequest) -> Obstacles:
        """Return what stands in the way."""

    async def retake(
        self, row: LedgerRow, request: ClaimRequest, attempt: int, note: str | None
    ) -> bool:
        """Give the row to the request; False when it is not as seen, or its job runs elsewhere."""

    async def skip(self, request: ClaimRequest, reason: str) -> None:
        """Insert a skipped row, unless the occurrence has a row by now."""

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """As in the contract."""


async def claim_occurrence(store: ClaimStore, request: ClaimRequest) -> Claim:
    """Claim an occurrence, or raise LockedOutError."""
    while True:
        row_id = await store.insert(request)
        if row_id is not None:
            return Claim(row_id, 1, request)
        met = await store.obstacles(request)
        _warn_of_others(store, request, met)
        if met.has_lease_that_is_over and request.may_take and not await request.may_take():
            met = met.as_in_progress()
        if met.own and met.own.is_untimely and request.was_in_time:
            is_untimely = not await request.was_in_time(met.own.row)
            met = met._replace(own=met.own._replace(is_untimely=is_untimely))
        claim = await _clear(store, request, met)
        if claim:
            return claim


def _warn_of_others(store: ClaimStore, request: ClaimRequest, met: Obstacles) -> None:
    """Say once that the job is another function elsewhere: two services are no replicas."""
    for each in met:
        other = each and each.function
        if not each or not other or not request.function or other == request.function:
            continue
        job_id = request.occurrence.job_id
        if (job_id, other) not in store.others:
            store.others.add((job_id, other))
            _LOGGER.warning(
                "job %r is %s here and %s on %s, which has claimed %s: in one namespace they count "
                "as replicas, and each occurrence is run by one of them alone. Give each of two "
                "services a namespace (SqlLedger(url, namespace=...), KST_SCHEDULER_NAMESPACE); "
                "where the function was renamed, this ends with the deploy",
                *(job_id, request.function, other, each.row.instance, each.row.occurrence),
            )


async def _clear(store: ClaimStore, request: ClaimRequest, met: Obstacles) -> Claim | None:
    """Return the claim, None when it is to be tried again, or raise LockedOutError."""
    if met.own and met.own.row.status == "running":
        return await _take_over(store, request, met.own)
    if met.own and not _is_open(met.own, request):
        by = met.own.row
        raise LockedOutError(f"{request.occurrence} was claimed by {by.instance}: {by.status}")
    if met.own and _has_used_up(met.own.row, request):
        raise AttemptsUsedUpError(f"{request.occurrence} was given up: {met.own.row.error}")
    if met.running:
        await _close_or_skip(store, request, met.running)
        return None
    return await _retake(store, met.own.row, request, _ended(met.own.row)) if met.own else None


def _is_open(met: Obstacle, request: ClaimRequest) -> bool:
    """Return whether a row that does not run may be claimed again."""
    status = met.row.status
    is_retried = request.retry and status in {"error", "cancelled"}
    return status == "skipped" or met.is_untimely or is_retried


async def _take_over(store: ClaimStore, request: ClaimRequest, met: Obstacle) -> Claim | None:
    """Take a running row: it is this very claim, whose answer was lost, or its lease is over."""
    own = met.row
    if met.is_same_claim:
        again = await store.retake(own, request, own.attempt, own.error)
        return Claim(own.id, own.attempt, request) if again else None
    if not met.lease_is_over:
        raise LockedOutError(f"{request.occurrence} was claimed by {own.instance}: running")
    if not request.take_over:
        raise LockedOutError(
            f"{request.occurrence} was claimed by {own.instance}, whose lease is over; "
            "this job must not run it again"
        )
    if request.max_attempts is not None and own.lost + 1 >= request.max_attempts:
        await _give_up(store, request, own, used_up(own, request.max_attempts))
        return None
    return await _retake(store, own, request, _lost(own))


async def _give_up(store: ClaimStore, request: ClaimRequest, own: LedgerRow, reason: str) -> None:
    """Close the occurrence's own row, unless it is not as seen: then the claim is tried again."""
    closed = await store.close_abandoned(own, reason)
    if closed:
        store.closed.append(closed)
        _LOGGER.error("%s: %s", closed.occurrence, reason)
        raise AttemptsUsedUpError(f"{request.occurrence} was given up: {reason}")


async def _retake(
    store: ClaimStore, own: LedgerRow, request: ClaimRequest, note: str | None
) -> Claim | None:
    """Give the row to the request, as the attempt after the one that was seen.

    Two may see the same row, and its holder may still live::

        A   attempt 1 ... frozen ...                      finish(attempt 1): no such row, refused
        B   reads attempt 1 | retake: attempt 1 -> 2
        C   reads attempt 1 |                        retake: the row is not as seen | reads it again

    The statement names the attempt, so one retake of several does something, and what comes from
    an attempt that is over does nothing.
    """
    attempt = own.attempt + 1
    taken = await store.retake(own, request, attempt, note)
    return Claim(own.id, attempt, request) if taken else None


async def _close_or_skip(store: ClaimStore, request: ClaimRequest, met: Obstacle) -> None:
    """Close the run that is in the way when it was abandoned; else skip the occurrence.

    Between the reading and the write the run may end, or be renewed::

        A   03:00 runs ................................... finish
        B   04:00 reads: 03:00 runs                      |        | skip 04:00: its row is written
        C   04:00 reads: 03:00 runs, its lease is over   |        | close 03:00: not as seen, again

    Closing names what was seen, so C does nothing and reads again. Skipping does not: a row is
    written, unless the occurrence has one by then. A skipped row is open: the next look, or
    another claim of the occurrence, may still run it.
    """
    running = met.row
    if met.lease_is_over:
        closed = await store.close_abandoned(running, f"abandoned: {_lost(running)}")
        store.closed.extend([closed] if closed else [])
        return
    reason = f"{running.occurrence}, attempt {running.attempt} on {running.instance}, was running"
    await store.skip(request, reason)
    raise LockedOutError(f"{request.occurrence} was not claimed: {reason}")


def _has_used_up(row: LedgerRow, request: ClaimRequest) -> bool:
    return request.max_attempts is not None and row.lost >= request.max_attempts


def used_up(row: LedgerRow, max_attempts: int) -> str:
    """Return the reason to close an abandoned row whose attempts are used up."""
    return f"abandoned: not run again, as max_attempts={max_attempts}: {_lost(row)}"


def newly_lost(row: LedgerRow, attempt: int) -> int:
    """Return 1 where a retake as this attempt means that the row's last one lost its lease."""
    return int(row.status == "running" and attempt > row.attempt)


def _ended(row: LedgerRow) -> str | None:
    """Return the note that a run leaves which is tried again; None: it was skipped or missed."""
    if row.status in {"skipped", "missed"}:
        return None
    note = f"attempt {row.attempt} on {row.instance} ended as {row.status}"
    return f"{note}: {row.error}" if row.error else note


def _lost(row: LedgerRow) -> str:
    """Return the note that a run leaves which lost its lease, after those of earlier attempts."""
    until = row.lease_until
    at = f" at {until:%Y-%m-%dT%H:%M:%S.%fZ}" if until else ""
    note = f"attempt {row.attempt} on {row.instance} lost its lease{at}"
    return f"{row.error}; {note}" if row.error else note
