"""What every ledger promises: a row for each occurrence, and each occurrence claimed once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol, Self

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.ledger.checks import MAX_INTEGER
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.scheduler.stored_names import require_name
from kst_scheduler.timezone import require_aware

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    import pandas as pd

ENDED: Final = ("ok", "error", "cancelled", "skipped")
"""How a run that was claimed can end."""
STATUSES: Final = (*ENDED, "missed", "running")
"""What a row can be; the table of runs knows them all (kst_scheduler.runs.table)."""
MAX_COUNT: Final = MAX_INTEGER
"""The largest count that a row holds."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Who wants to run which occurrence; the same request again is the same claim.

    Raises:
        InvalidArgumentError: the lease is not positive, or the job id or the instance cannot be
            stored (more than 500 characters, or NUL among them).
        NaiveDatetimeError: ``claimed_at`` has no zone.

    """

    occurrence: Occurrence
    instance: str
    """The replica that asks: the node of the table of runs."""
    lease: timedelta
    """How long the claim holds without a renewal."""
    claimed_at: datetime
    """The client's clock when it asked first."""
    take_over: bool = True
    """Whether a run that lost its lease may be run again, as a further attempt."""
    retry: bool = False
    """Whether a run that ended as error or cancelled may be run again, as a further attempt."""
    max_attempts: int | None = None
    """How many attempts may lose their lease before the row is closed; None: any number."""
    token: str = field(default_factory=lambda: os.urandom(32).hex())
    """What the claim is known by. Host, process and time can be the same in two containers."""
    function: str = ""
    """What runs, by module and name; another service's job of the same id has another one."""
    may_take: Callable[[], Awaitable[bool]] | None = field(default=None, compare=False, repr=False)
    """Checked before a run whose lease is over is taken over or closed; where it is false, the run
    counts as one that is in progress. None: it is always true."""
    was_in_time: Callable[[LedgerRow], Awaitable[bool]] | None = field(
        default=None, compare=False, repr=False
    )
    """Checked before a row is claimed that was called missed before its time, by the clock of this
    moment; where it is true, the clock is behind, and the row stands. None: it is never true."""

    def __post_init__(self) -> None:
        require_name(self.occurrence.job_id, "job_id")
        require_name(self.instance, "instance")
        require_aware(self.claimed_at, "claimed_at")
        if self.lease <= timedelta():
            raise InvalidArgumentError(
                f"lease={self.lease!r} is over before it begins; write timedelta(seconds=60)"
            )
        if self.max_attempts is not None and self.max_attempts < 1:
            raise InvalidArgumentError(
                f"max_attempts={self.max_attempts!r} allows no attempt; write 1 or more"
            )


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run an occurrence; its attempt number is the fence of the final write."""

    row_id: int
    attempt: int
    request: ClaimRequest


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; written again, it is the same write.

    Raises:
        InvalidArgumentError: the status is none that a run can end with, or ``rows`` does not fit
            a database's bigint.
        NaiveDatetimeError: ``finished_at`` has no zone.

    """

    status: str
    """ok, error, cancelled or skipped."""
    finished_at: datetime
    """The client's clock."""
    duration: timedelta
    """By a monotonic clock."""
    rows: int | None = None
    error: str | None = None
    """Stored without passwords, and cut at 2,000 characters. None leaves the note of a takeover."""

    def __post_init__(self) -> None:
        require_aware(self.finished_at, "finished_at")
        if self.status not in ENDED:
            raise InvalidArgumentError(
                f"status={self.status!r} is not how a run ends; write one of {', '.join(ENDED)}"
            )
        if self.rows is not None and abs(self.rows) > MAX_COUNT:
            raise InvalidArgumentError(f"rows has {len(str(self.rows))} digits; at most 2**63 - 1")

    @property
    def duration_ms(self) -> int:
        """The duration in whole milliseconds."""
        return round(self.duration / timedelta(milliseconds=1))


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row of crawl_runs; times are aware, in UTC."""

    id: int
    source: str
    """The job's id."""
    scheduled_at: datetime
    """In whole seconds; of a manual run in microseconds."""
    attempt: int
    """How often the occurrence was claimed: 0 for one that was missed or skipped."""
    instance: str
    status: str
    rows: int | None
    duration_ms: int | None
    error: str | None
    trigger: str
    """schedule or manual."""
    claimed_at: datetime | None
    lease_until: datetime | None
    """By the ledger's clock; None when the run does not run."""
    started_at: datetime | None
    finished_at: datetime | None
    lost: int = 0
    """How many of the attempts lost their lease, as when their process died."""
    written_at: datetime | None = None
    """When a row was written whose run was missed or skipped, by the ledger's clock."""

    def is_untimely(self, now: datetime) -> bool:
        """Tell whether the run was called missed before its time; ``now`` is the ledger's clock.

        It was, where that was written in what is the future now: by a clock that was ahead.
        """
        if self.status != "missed" or self.written_at is None:
            return False
        return self.written_at > now or self.written_at < self.scheduled_at

    @property
    def occurrence(self) -> Occurrence:
        """The job and the scheduled time that the row stands for."""
        return Occurrence(self.source, self.scheduled_at, self.trigger == "manual")


class Ledger(Protocol):
    """The table crawl_runs, wherever it lives.

    Whether a lease is over is judged by one clock, the ledger's own, so that a replica whose clock
    is ahead takes nothing from one that works. All other times are the client's. Each method
    raises LedgerUnavailableError when the ledger cannot be reached, is full or does not answer in
    time, and may then be called again: the same write twice is one.
    """

    def with_own_connections(self, count: int) -> Self:
        """Return the same ledger over connections of its own, which are not open yet.

        Who reads much cannot keep others from writing then.
        """

    async def open(self) -> None:
        """Create what is missing, also in a ledger of an older version.

        Raises:
            LedgerVersionError: a newer version of this package made it.

        """

    async def close(self) -> None:
        """Let go of all connections."""

    async def now(self) -> datetime:
        """Return the time by the ledger's own clock."""

    async def claim(self, request: ClaimRequest) -> Claim:
        """Take the occurrence's row, or raise LockedOutError.

        An occurrence without a row is taken, and so is one that was skipped, and one whose run lost
        its lease (unless the request says otherwise); one that ended as error or cancelled only
        where the request is a retry. One that was called missed before its time, by a clock that
        was ahead, counts as one without a row. An occurrence whose attempts have lost their lease
        ``max_attempts`` times is closed as error, with AttemptsUsedUpError. While another
        occurrence of the same job runs, this one is written as skipped if it has no row, and a
        later claim may have it.
        """

    def closed_by_claims(self) -> list[LedgerRow]:
        """Return, once, the abandoned rows that claims here have closed."""

    async def renew(self, claim: Claim) -> bool:
        """Extend the lease; False when another attempt or an end has come between."""

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Write how the run ended; False, and nothing is written, when it was taken over."""

    async def record_missed(
        self, occurrence: Occurrence, reason: str, instance: str
    ) -> LedgerRow | None:
        """Write an occurrence as missed; None when it has a row already, unless an untimely one."""

    async def abandoned(self) -> list[LedgerRow]:
        """Return the running rows whose lease is over, by the ledger's clock."""

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """Write an abandoned row as error; None when it has been taken over, ended or renewed.

        When it really ended nobody knows: the end of its lease stands for that.
        """

    async def rows(
        self,
        source: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        status: str | None = None,
        before_id: int | None = None,
        limit: int | None = None,
    ) -> list[LedgerRow]:
        """Return rows with ``since <= scheduled_at < until``, the latest id first.

        For the next page, pass the last row's id as ``before_id``.
        """

    async def history(
        self,
        source: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the table of runs (kst_scheduler.runs), with the ledger's own columns after it.

        They are attempt, rows, trigger and duration_ms.
        """

    async def watermark(self, source: str) -> datetime | None:
        """Return up to when what should have fired has been reconciled; None: never yet."""

    async def advance_watermark(self, source: str, until: datetime) -> None:
        """Move that moment on; never back."""

    async def reset_watermark(self, source: str, seen: datetime, until: datetime) -> None:
        """Move that moment back, where it is still as seen: a clock that was ahead moved it on."""

    async def prove_writable(self) -> None:
        """Write a row like that of a claim and take it back, in one transaction that nobody sees.

        It raises what a claim would raise now: a ledger that can only be read is no ledger.
        """

    async def delete_before(self, before: datetime, limit: int | None = None) -> int:
        """Delete ended rows scheduled before a moment, the oldest first; return how many.

        ``limit`` is the most that one call deletes; None: all. Others can use the ledger meanwhile.
        """
