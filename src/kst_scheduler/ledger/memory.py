"""A ledger in memory, for simulations, tests, and a service of one process that forgets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Self

from kst_scheduler.ledger.checks import in_utc, require_count, stored_text
from kst_scheduler.ledger.claiming import take
from kst_scheduler.ledger.memory_rows import MemoryRows
from kst_scheduler.scheduler.stored_names import require_name

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from kst_scheduler.ledger.contract import Claim, ClaimRequest, LedgerRow, Outcome
    from kst_scheduler.scheduler.occurrence import Occurrence

BATCH: Final = 1_000
"""Rows that are deleted at a time: some milliseconds."""


class MemoryLedger:
    """The contract of Ledger, kept in one process and lost with it.

    Its clock is the running loop's, which in a simulation is true time on every node: one ledger
    for one simulation. Not for several threads.
    """

    def __init__(self) -> None:
        self._rows = MemoryRows()
        self._watermarks: dict[str, datetime] = {}

    def with_own_connections(self, count: int) -> Self:  # noqa: ARG002 - there are none
        """Return this ledger: memory needs no connection."""
        return self

    async def open(self) -> None:
        """Do nothing: there is nothing to open."""

    async def close(self) -> None:
        """Do nothing: the rows stay."""

    async def now(self) -> datetime:
        """Return the time by the ledger's own clock."""
        return self._rows.now()

    async def claim(self, request: ClaimRequest) -> Claim:
        """Take the occurrence's row, or raise LockedOutError."""
        return await take(self._rows, request)

    def closed_by_claims(self) -> list[LedgerRow]:
        """Return, once, the abandoned rows that claims here have closed."""
        closed = list(self._rows.closed)
        self._rows.closed.clear()
        return closed

    async def renew(self, claim: Claim) -> bool:
        """Extend the lease; False when another attempt or an end has come between."""
        row = self._rows.get(claim.row_id)
        if row is None or (row.attempt, row.status) != (claim.attempt, "running"):
            return False
        self._rows.put(replace(row, lease_until=self._rows.now() + claim.request.lease))
        return True

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Write how the run ended; False, and nothing is written, when it was taken over."""
        row = self._rows.get(claim.row_id)
        if row is None or row.attempt != claim.attempt:
            return False
        if row.status != "running":
            finished_at = in_utc(outcome.finished_at, "finished_at")
            return (row.status, row.finished_at) == (outcome.status, finished_at)
        self._rows.put(
            replace(
                row,
                status=outcome.status,
                rows=outcome.rows,
                duration_ms=outcome.duration_ms,
                error=row.error if outcome.error is None else stored_text(outcome.error),
                lease_until=None,
                started_at=None if outcome.status == "skipped" else row.started_at,
                finished_at=in_utc(outcome.finished_at, "finished_at"),
            )
        )
        return True

    async def record_missed(
        self, occurrence: Occurrence, reason: str, instance: str
    ) -> LedgerRow | None:
        """Write an occurrence as missed; None when it has a row already."""
        require_name(occurrence.job_id, "job_id")
        require_name(instance, "instance")
        return self._rows.leave(occurrence, instance, "missed", reason)

    async def abandoned(self) -> list[LedgerRow]:
        """Return the running rows whose lease is over, by the ledger's clock."""
        return self._rows.abandoned()

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """Write an abandoned row as error; None when it has been taken over, ended or renewed."""
        return await self._rows.close_abandoned(row, reason)

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
        source = source and require_name(source, "source")
        since = since and in_utc(since, "since")
        until = until and in_utc(until, "until")
        before_id = require_count(before_id, "before_id")
        found = self._rows.find(source, since, until, status, before_id)
        return list(islice(found, require_count(limit, "limit")))

    async def history(
        self,
        source: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the table of runs (kst_scheduler.runs), with the ledger's own columns after it."""
        from kst_scheduler.ledger.history import FIELDS, history_table  # noqa: PLC0415

        rows = await self.rows(source, since=since, until=until)
        return history_table(map(attrgetter(*FIELDS), rows))

    async def watermark(self, source: str) -> datetime | None:
        """Return up to when what should have fired has been reconciled; None: never yet."""
        return self._watermarks.get(require_name(source, "source"))

    async def advance_watermark(self, source: str, until: datetime) -> None:
        """Move that moment on; never back."""
        until = in_utc(until, "until")
        source = require_name(source, "source")
        self._watermarks[source] = max(until, self._watermarks.get(source, until))

    async def look_again(self, source: str, seen: datetime, until: datetime) -> None:
        """Move that moment back, where it is still as seen: a clock that was ahead moved it on."""
        seen, until = in_utc(seen, "seen"), in_utc(until, "until")
        if self._watermarks.get(require_name(source, "source")) == seen:
            self._watermarks[source] = min(seen, until)

    async def prove_writable(self) -> None:
        """Do nothing: memory is writable."""

    async def delete_before(self, before: datetime, limit: int | None = None) -> int:
        """Delete ended rows scheduled before a moment, the oldest first; return how many."""
        before, limit = in_utc(before, "before"), require_count(limit, "limit")
        deleted = 0
        while True:
            size = BATCH if limit is None else min(BATCH, limit - deleted)
            gone = self._rows.delete_oldest(before, size)
            deleted += gone
            if gone < BATCH:
                return deleted
            await asyncio.sleep(0)  # others have their turn
