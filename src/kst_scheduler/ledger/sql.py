"""A ledger in SQLite or PostgreSQL: what a service keeps, and what its replicas share."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.exc import IntegrityError

from kst_scheduler.ledger import statements
from kst_scheduler.ledger.checks import in_utc, occurrence_key, require_count, stored_text
from kst_scheduler.ledger.claiming import (
    MAX_CLOSED,
    Obstacle,
    Obstacles,
    claim_occurrence,
    newly_lost,
)
from kst_scheduler.ledger.contract import LedgerRow
from kst_scheduler.ledger.database import Database
from kst_scheduler.ledger.history import history_table
from kst_scheduler.ledger.retention import delete_old
from kst_scheduler.scheduler.stored_names import require_name

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from kst_scheduler.ledger.contract import Claim, ClaimRequest, Outcome
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
        await self.insert_unclaimed(request.occurrence, request.instance, "skipped", reason)

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

    async def insert_unclaimed(
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


class SqlLedger:
    """The contract of Ledger, kept in a database.

    It belongs to the event loop in which it was opened. Behind PgBouncer in transaction mode,
    max_prepared_statements must not be 0.

    Args:
        url: ``sqlite:///folder/ledger.db`` or ``postgresql://user:password@host:5432/database``;
            several hosts, and a parameter such as ``?sslmode=require``, mean what they mean to
            libpq (connection_string.py).
        namespace: one for each service that shares the database, the same for all replicas of it.
            Two services in one namespace whose jobs have one id count as replicas, and run only
            half of their occurrences each; a claim that meets a row of another function says so, in
            one warning. In another namespace nothing is seen, claimed or forgotten.
        connections: how many it holds at most; of PostgreSQL 10 unless given, of SQLite 1.

    Raises:
        InvalidArgumentError: the URL cannot be read, names another kind of database, or has a
            parameter that cannot be honoured; or the namespace cannot be stored.
        MissingExtraError: the database's driver is not installed.

    """

    def __init__(self, url: str, *, namespace: str = "", connections: int | None = None) -> None:
        self._url = url
        self.namespace = require_name(namespace, "namespace")
        self._database = Database(url, connections)
        self._claims = SqlClaims(self._database, namespace)
        self._now = self._database.quick(statements.NOW)
        self._renew = self._database.quick(statements.RENEW)
        self._finish = self._database.quick(statements.FINISH)
        self._advance = statements.upsert_watermark(self._database.dialect)

    def __repr__(self) -> str:
        namespace = f", namespace={self.namespace!r}" if self.namespace else ""
        return f"SqlLedger({self._database.where!r}{namespace})"

    def with_own_connections(self, count: int) -> Self:
        """Return the same ledger over connections of its own, which are not open yet."""
        return type(self)(self._url, namespace=self.namespace, connections=count)

    async def open(self) -> None:
        """Create the tables if they are not there, or add what an older version lacks.

        Raises:
            LedgerVersionError: a newer version of this package made them.
            InvalidArgumentError: there is a table crawl_runs that no ledger made.

        """
        await self._database.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()

    async def now(self) -> datetime:
        """Return the time by the ledger's own clock."""
        ((moment,),) = await self._now({})
        return moment  # type: ignore[no-any-return]

    async def claim(self, request: ClaimRequest) -> Claim:
        """Take the occurrence's row, or raise LockedOutError."""
        return await claim_occurrence(self._claims, request)

    def closed_by_claims(self) -> list[LedgerRow]:
        """Return, once, the abandoned rows that claims here have closed."""
        closed = list(self._claims.closed)
        self._claims.closed.clear()
        return closed

    async def renew(self, claim: Claim) -> bool:
        """Extend the lease; False when another attempt or an end has come between."""
        parameters = {
            "seen_id": claim.row_id,
            "seen_attempt": claim.attempt,
            "lease": claim.request.lease.total_seconds(),
        }
        return bool(await self._renew(parameters))

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Write how the run ended; False, and nothing is written, when it was taken over."""
        parameters = {
            "seen_id": claim.row_id,
            "seen_attempt": claim.attempt,
            "status": outcome.status,
            "finished_at": in_utc(outcome.finished_at, "finished_at"),
            "duration_ms": outcome.duration_ms,
            "rows": outcome.rows,
            "error": None if outcome.error is None else stored_text(outcome.error),
        }
        return bool(await self._finish(parameters))

    async def record_missed(
        self, occurrence: Occurrence, reason: str, instance: str
    ) -> LedgerRow | None:
        """Write an occurrence as missed; None when it has a row already."""
        require_name(occurrence.job_id, "job_id")
        require_name(instance, "instance")
        return await self._claims.insert_unclaimed(occurrence, instance, "missed", reason)

    async def abandoned(self) -> list[LedgerRow]:
        """Return the running rows whose lease is over, by the ledger's clock."""
        here = {"namespace": self.namespace}
        return [LedgerRow(*row) for row in await self._database.fetch(statements.ABANDONED, here)]

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """Write an abandoned row as error; None when it has been taken over, ended or renewed."""
        return await self._claims.close_abandoned(row, reason)

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
        query = statements.select_rows(
            self.namespace,
            source and require_name(source, "source"),
            since and in_utc(since, "since"),
            until and in_utc(until, "until"),
            status,
            require_count(before_id, "before_id"),
            require_count(limit, "limit"),
        )
        return [LedgerRow(*row) for row in await self._database.fetch_many(query)]

    async def history(
        self,
        source: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the table of runs (kst_scheduler.runs), with the ledger's own columns after it."""
        query = statements.select_history(
            self.namespace,
            source and require_name(source, "source"),
            since and in_utc(since, "since"),
            until and in_utc(until, "until"),
        )
        records = await self._database.fetch_many(query)
        return await asyncio.to_thread(history_table, records)  # a long one would block the loop

    async def watermark(self, source: str) -> datetime | None:
        """Return up to when what should have fired has been reconciled; None: never yet."""
        parameters = {"namespace": self.namespace, "source": require_name(source, "source")}
        found = await self._database.fetch(statements.WATERMARK, parameters)
        return found[0].watermark if found else None

    async def advance_watermark(self, source: str, until: datetime) -> None:
        """Move that moment on; never back."""
        parameters = {
            "namespace": self.namespace,
            "source": require_name(source, "source"),
            "watermark": in_utc(until, "until"),
        }
        await self._database.write(self._advance, parameters)

    async def reset_watermark(self, source: str, seen: datetime, until: datetime) -> None:
        """Move that moment back, where it is still as seen: a clock that was ahead moved it on."""
        parameters = {
            "seen_namespace": self.namespace,
            "seen_source": require_name(source, "source"),
            "seen_until": in_utc(seen, "seen"),
            "until": in_utc(min(seen, until), "until"),
        }
        await self._database.write(statements.RESET_WATERMARK, parameters)

    async def prove_writable(self) -> None:
        """Write a row like that of a claim and take it back, in one transaction."""
        await self._database.run_script(statements.trial(self._database.dialect))

    async def delete_before(self, before: datetime, limit: int | None = None) -> int:
        """Delete ended rows scheduled before a moment, the oldest first; return how many."""
        before = in_utc(before, "before")
        limit = require_count(limit, "limit")
        return await delete_old(self._database, self.namespace, before, limit)
