"""A ledger in memory, for simulations, tests, and a service of one process that forgets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from kst_scheduler.ledger.checks import in_utc, occurrence_key, require_name, stored_text
from kst_scheduler.ledger.claiming import Obstacle, Obstacles, take
from kst_scheduler.ledger.contract import LedgerRow
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    import pandas as pd

    from kst_scheduler.ledger.contract import Claim, ClaimRequest, Outcome
    from kst_scheduler.occurrence import Occurrence


class MemoryLedger:
    """The contract of Ledger, kept in one process and lost with it.

    Its clock is the running loop's, which in a simulation is true time on every node. No method
    lets another task run before it is done, so each is atomic. Not for several threads.
    """

    def __init__(self) -> None:
        self._rows: dict[int, LedgerRow] = {}
        self._ids: dict[tuple[str, datetime, str], int] = {}
        self._running: dict[str, int] = {}
        self._looked_until: dict[str, datetime] = {}
        self._last_id = 0
        self._clock_began: datetime | None = None

    async def open(self) -> None:
        """Do nothing: there is nothing to open."""

    async def close(self) -> None:
        """Do nothing: the rows stay."""

    async def claim(self, request: ClaimRequest) -> Claim:
        """Take the occurrence's row, or raise LockedOutError."""
        return await take(self, request)

    async def renew(self, claim: Claim) -> bool:
        """Extend the lease; False when another attempt or an end has come between."""
        row = self._rows.get(claim.row_id)
        if row is None or (row.attempt, row.status) != (claim.attempt, "running"):
            return False
        self._put(replace(row, lease_until=self._now() + claim.request.lease))
        return True

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Write how the run ended; False, and nothing is written, when it was taken over."""
        row = self._rows.get(claim.row_id)
        if row is None or row.attempt != claim.attempt:
            return False
        if row.status != "running":
            finished_at = in_utc(outcome.finished_at, "finished_at")
            return (row.status, row.finished_at) == (outcome.status, finished_at)
        self._put(
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

    async def miss(self, occurrence: Occurrence, reason: str, instance: str) -> LedgerRow | None:
        """Write an occurrence as missed; None when it has a row already."""
        require_name(occurrence.job_id, "job_id")
        require_name(instance, "instance")
        return self._add(occurrence, instance, "missed", error=stored_text(reason))

    async def abandoned(self) -> list[LedgerRow]:
        """Return the running rows whose lease is over, by the ledger's clock."""
        running = (self._rows[id_] for id_ in sorted(self._running.values()))
        return [row for row in running if self._is_over(row)]

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """Write an abandoned row as error; None when it has been taken over, ended or renewed."""
        if self._rows.get(row.id) != row or not self._is_over(row):
            return None
        return self._put(
            replace(
                row,
                status="error",
                error=stored_text(reason),
                lease_until=None,
                finished_at=row.lease_until,
            )
        )

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
        since = since and in_utc(since, "since")
        until = until and in_utc(until, "until")
        found = (
            row
            for row in sorted(self._rows.values(), key=attrgetter("id"), reverse=True)
            if (source is None or row.source == source)
            and (since is None or row.scheduled_at >= since)
            and (until is None or row.scheduled_at < until)
            and (status is None or row.status == status)
            and (before_id is None or row.id < before_id)
        )
        return list(islice(found, limit))

    async def history(
        self,
        source: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the table of runs (kst_scheduler.runs), then attempt, rows and trigger."""
        from kst_scheduler.ledger.history import FIELDS, history_table  # noqa: PLC0415

        rows = await self.rows(source, since=since, until=until)
        return history_table(map(attrgetter(*FIELDS), rows))

    async def looked_until(self, source: str) -> datetime | None:
        """Return up to when what should have fired has been reconciled; None: never yet."""
        return self._looked_until.get(source)

    async def look(self, source: str, until: datetime) -> None:
        """Move that moment on; never back."""
        until = in_utc(until, "until")
        self._looked_until[source] = max(until, self._looked_until.get(source, until))

    async def forget(self, before: datetime) -> int:
        """Delete ended rows scheduled before a moment; return how many."""
        before = in_utc(before, "before")
        old = [
            row
            for row in self._rows.values()
            if row.scheduled_at < before and row.status != "running"
        ]
        for row in old:
            del self._rows[row.id], self._ids[row.source, row.scheduled_at, row.trigger]
        return len(old)

    async def insert(self, request: ClaimRequest) -> int | None:
        """As ClaimStore has it."""
        if request.occurrence.job_id in self._running:
            return None
        claimed_at = in_utc(request.claimed_at, "claimed_at")
        row = self._add(
            request.occurrence,
            request.instance,
            "running",
            attempt=1,
            claimed_at=claimed_at,
            started_at=claimed_at,
            lease_until=self._now() + request.lease,
        )
        return row.id if row else None

    async def obstacles(self, request: ClaimRequest) -> Obstacles:
        """As ClaimStore has it."""
        own = self._ids.get(occurrence_key(request.occurrence))
        running = self._running.get(request.occurrence.job_id)
        return Obstacles(self._obstacle(own), self._obstacle(running))

    async def retake(
        self, row: LedgerRow, request: ClaimRequest, attempt: int, note: str | None
    ) -> bool:
        """As ClaimStore has it."""
        claimed_at = in_utc(request.claimed_at, "claimed_at")
        self._put(
            replace(
                row,
                attempt=attempt,
                instance=request.instance,
                status="running",
                rows=None,
                duration_ms=None,
                error=note and stored_text(note),
                claimed_at=claimed_at,
                lease_until=self._now() + request.lease,
                started_at=claimed_at,
                finished_at=None,
            )
        )
        return True

    async def skip(self, request: ClaimRequest, reason: str) -> None:
        """As ClaimStore has it."""
        self._add(request.occurrence, request.instance, "skipped", error=stored_text(reason))

    def _now(self) -> datetime:
        """Return the loop's time, counted from what the wall clock showed at the first call."""
        seconds = timedelta(seconds=asyncio.get_running_loop().time())
        if self._clock_began is None:
            self._clock_began = datetime.now(UTC) - seconds
        return self._clock_began + seconds

    def _is_over(self, row: LedgerRow) -> bool:
        return row.lease_until is not None and row.lease_until <= self._now()

    def _obstacle(self, row_id: int | None) -> Obstacle | None:
        if row_id is None:
            return None
        row = self._rows[row_id]
        return Obstacle(row, self._is_over(row))

    def _add(
        self,
        occurrence: Occurrence,
        instance: str,
        status: str,
        *,
        attempt: int = 0,
        error: str | None = None,
        claimed_at: datetime | None = None,
        started_at: datetime | None = None,
        lease_until: datetime | None = None,
    ) -> LedgerRow | None:
        source, scheduled_at, trigger = key = occurrence_key(occurrence)
        if key in self._ids:
            return None
        self._last_id += 1
        self._ids[key] = self._last_id
        return self._put(
            LedgerRow(
                id=self._last_id,
                source=source,
                scheduled_at=scheduled_at,
                attempt=attempt,
                instance=instance,
                status=status,
                rows=None,
                duration_ms=None,
                error=error,
                trigger=trigger,
                claimed_at=claimed_at,
                lease_until=lease_until,
                started_at=started_at,
                finished_at=None,
            )
        )

    def _put(self, row: LedgerRow) -> LedgerRow:
        self._rows[row.id] = row
        if row.status == "running":
            self._running[row.source] = row.id
        elif self._running.get(row.source) == row.id:
            del self._running[row.source]
        return row
