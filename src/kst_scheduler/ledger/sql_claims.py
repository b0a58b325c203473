"""The steps of a claim in a database."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError

from kst_scheduler.ledger import statements
from kst_scheduler.ledger.checks import in_utc, occurrence_key, stored_text
from kst_scheduler.ledger.claiming import MAX_CLOSED, Obstacle, Obstacles, newly_lost
from kst_scheduler.ledger.contract import LedgerRow

if TYPE_CHECKING:
    from kst_scheduler.ledger.contract import ClaimRequest
    from kst_scheduler.ledger.database import Database
    from kst_scheduler.scheduler.occurrence import Occurrence


class SqlClaims:
    """A ClaimStore, and what else writes rows that did not run."""

    def __init__(self, database: Database, namespace: str) -> None:
        self._database = database
        self._namespace = namespace
        self.others: set[tuple[str, str]] = set()
        self.closed: deque[LedgerRow] = deque(maxlen=MAX_CLOSED)
        self._insert = database.quick(statements.insert_claim(database.dialect))
        self._unclaimed = statements.insert_unclaimed(database.dialect)

    async def insert(self, request: ClaimRequest) -> int | None:
        """Insert a running row; return its id, or None when any row stands in the way."""
        parameters = self._occurrence(request.occurrence) | _claim(request)
        rows = await self._insert(parameters)
        return rows[0][0] if rows else None

    async def obstacles(self, request: ClaimRequest) -> Obstacles:
        """Return what stands in the way."""
        key = occurrence_key(request.occurrence)
        own = running = None
        parameters = self._occurrence(request.occurrence) | {"token": request.token}
        found = await self._database.fetch(statements.OBSTACLES, parameters)
        for *fields, lease_is_over, is_same_claim, is_untimely, function in found:
            obstacle = Obstacle(
                LedgerRow(*fields),
                lease_is_over=bool(lease_is_over),
                is_same_claim=bool(is_same_claim),
                is_untimely=bool(is_untimely),
                function=function,
            )
            row = obstacle.row
            own = obstacle if (row.source, row.scheduled_at, row.trigger) == key else own
            running = obstacle if row.status == "running" else running
        return Obstacles(own, running)

    async def retake(
        self, row: LedgerRow, request: ClaimRequest, attempt: int, note: str | None
    ) -> bool:
        """Give the row to the request; False when it is not as seen, or its job runs elsewhere."""
        parameters = _claim(request) | {
            "seen_id": row.id,
            "seen_attempt": row.attempt,
            "seen_status": row.status,
            "seen_lease": row.lease_until,
            "attempt": attempt,
            "error": note and stored_text(note),
            "newly_lost": newly_lost(row, attempt),
        }
        try:
            return await self._database.write(statements.RETAKE, parameters) == 1
        except IntegrityError:  # of the index that lets one row of a job be running
            return False

    async def skip(self, request: ClaimRequest, reason: str) -> None:
        """Insert a skipped row, unless the occurrence has a row by now."""
        await self.leave(request.occurrence, request.instance, "skipped", reason)

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """Write an abandoned row as error; None when it is not as seen, or its lease holds."""
        parameters = {
            "seen_id": row.id,
            "seen_attempt": row.attempt,
            "seen_lease": row.lease_until,
            "error": stored_text(reason),
        }
        closed = await self._database.fetch(statements.CLOSE, parameters)
        return LedgerRow(*closed[0]) if closed else None

    async def leave(
        self, occurrence: Occurrence, instance: str, status: str, reason: str
    ) -> LedgerRow | None:
        """Insert a row that did not run; None when the occurrence has a row already."""
        parameters = self._occurrence(occurrence) | {
            "instance": instance,
            "status": status,
            "error": stored_text(reason),
        }
        left = await self._database.fetch(self._unclaimed, parameters)
        return LedgerRow(*left[0]) if left else None

    def _occurrence(self, occurrence: Occurrence) -> dict[str, Any]:
        source, scheduled_at, trigger = occurrence_key(occurrence)
        return {
            "namespace": self._namespace,
            "source": source,
            "scheduled_at": scheduled_at,
            "trigger": trigger,
        }


def _claim(request: ClaimRequest) -> dict[str, Any]:
    return {
        "instance": request.instance,
        "claimed_at": in_utc(request.claimed_at, "claimed_at"),
        "lease": request.lease.total_seconds(),
        "token": request.token,
        "function": stored_text(request.function),
    }
