"""What every ledger promises: a row for each occurrence, and each occurrence claimed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import pandas as pd

    from kst_scheduler.occurrence import Occurrence


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Who wants to run which occurrence; the same request again is the same claim."""

    occurrence: Occurrence
    instance: str
    """The replica that asks: the node of the table of runs."""
    lease: timedelta
    """How long the claim holds without a renewal."""
    claimed_at: datetime
    """The client's clock when it asked first."""
    take_over: bool = True
    """Whether a run that lost its lease may be run again, as a further attempt."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run an occurrence; its attempt number is the fence of the final write."""

    row_id: int
    attempt: int
    request: ClaimRequest


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; written again, it is the same write."""

    status: str
    """ok, error, cancelled or skipped."""
    finished_at: datetime
    """The client's clock."""
    duration: timedelta
    """By a monotonic clock."""
    rows: int | None = None
    error: str | None = None
    """For ok: None leaves the note of a takeover as it is."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row of crawl_runs; times are aware, in UTC."""

    id: int
    source: str
    """The job's id."""
    scheduled_at: datetime
    attempt: int
    instance: str
    status: str
    rows: int | None
    duration_ms: int | None
    error: str | None
    trigger: str
    """schedule or manual."""
    claimed_at: datetime | None
    lease_until: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class Ledger(Protocol):
    """The table crawl_runs, wherever it lives.

    Every method raises LedgerUnavailableError when the ledger cannot be reached.
    """

    async def open(self) -> None:
        """Create what is missing, and refuse a ledger of a newer version (LedgerVersionError)."""

    async def close(self) -> None:
        """Let go of all connections."""

    async def claim(self, request: ClaimRequest) -> Claim:
        """Take the occurrence's row, or raise LockedOutError."""

    async def renew(self, claim: Claim) -> bool:
        """Extend the lease; False when another attempt or an end has come between."""

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Write how the run ended; False, and nothing is written, when it was taken over."""

    async def miss(self, occurrence: Occurrence, reason: str, instance: str) -> LedgerRow | None:
        """Write an occurrence as missed; None when it has a row already."""

    async def abandoned(self) -> list[LedgerRow]:
        """Return the running rows whose lease is over, by the ledger's clock."""

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """Write an abandoned row as error; None when it has been taken over, ended or renewed."""

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
        """Return rows with ``since <= scheduled_at < until``, the latest id first."""

    async def history(
        self,
        source: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the table of runs (kst_scheduler.runs), then attempt, rows and trigger."""

    async def looked_until(self, source: str) -> datetime | None:
        """Return up to when what should have fired has been reconciled; None: never yet."""

    async def look(self, source: str, until: datetime) -> None:
        """Move that moment on; never back."""

    async def forget(self, before: datetime) -> int:
        """Delete ended rows scheduled before a moment; return how many."""
