"""A ledger in memory, for simulations, tests, and a service of one process that forgets."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import merge
from itertools import chain, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self

from kst_scheduler.ledger.checks import in_utc, occurrence_key, require_count, stored_text
from kst_scheduler.ledger.claiming import (
    MAX_CLOSED,
    Obstacle,
    Obstacles,
    claim_occurrence,
    newly_lost,
)
from kst_scheduler.ledger.contract import LedgerRow
from kst_scheduler.scheduler.stored_names import require_name
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd

    from kst_scheduler.ledger.contract import Claim, ClaimRequest, Outcome
    from kst_scheduler.scheduler.occurrence import Occurrence

BATCH: Final = 1_000
"""Rows that are deleted at a time: some milliseconds."""


class MemoryRows:
    """A ClaimStore, and what else reads and writes rows.

    No method lets another task run before it is done, so each is atomic.
    """

    def __init__(self) -> None:
        self._rows: dict[int, LedgerRow] = {}
        self._ids: dict[tuple[str, datetime, str], int] = {}
        self._running: dict[str, int] = {}
        self._requests: dict[int, ClaimRequest] = {}
        """By which a row was claimed last."""
        self._times: dict[str, list[tuple[datetime, int]]] = {}
        """Of each source, its scheduled times in order, and the ids of their rows."""
        self._last_id = 0
        self.others: set[tuple[str, str]] = set()
        self.closed: deque[LedgerRow] = deque(maxlen=MAX_CLOSED)
        self._clock_began: datetime | None = None

    async def insert(self, request: ClaimRequest) -> int | None:
        """Insert a running row; return its id, or None when any row stands in the way."""
        if request.occurrence.job_id in self._running:
            return None
        row = self._add(request.occurrence, attempt=1, **self._claimed(request))
        if row is None:
            return None
        self._requests[row.id] = request
        return row.id

    async def obstacles(self, request: ClaimRequest) -> Obstacles:
        """Return what stands in the way."""
        own = self._ids.get(occurrence_key(request.occurrence))
        running = self._running.get(request.occurrence.job_id)
        return Obstacles(self._obstacle(own, request), self._obstacle(running, request))

    async def retake(
        self, row: LedgerRow, request: ClaimRequest, attempt: int, note: str | None
    ) -> bool:
        """Give the row to the request."""
        self._requests[row.id] = request
        self.put(
            replace(
                row,
                attempt=attempt,
                rows=None,
                duration_ms=None,
                error=note and stored_text(note),
                finished_at=None,
                lost=row.lost + newly_lost(row, attempt),
                **self._claimed(request),
            )
        )
        return True

    async def skip(self, request: ClaimRequest, reason: str) -> None:
        """Insert a skipped row, unless the occurrence has a row by now."""
        self.insert_unclaimed(request.occurrence, request.instance, "skipped", reason)

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """Write an abandoned row as error; None when it is not as seen, or its lease holds."""
        if self.get(row.id) != row or not self._is_over(row):
            return None
        closed = replace(
            row,
            status="error",
            error=stored_text(reason),
            lease_until=None,
            finished_at=row.lease_until,
            lost=row.lost + 1,
        )
        return self.put(closed)

    def insert_unclaimed(
        self, occurrence: Occurrence, instance: str, status: str, reason: str
    ) -> LedgerRow | None:
        """Insert a row that did not run; None when the occurrence has a row already."""
        now = self.now()
        written = {"instance": instance, "status": status, "error": stored_text(reason)}
        row = self.get(self._ids.get(occurrence_key(occurrence), 0))
        if row is not None and row.is_untimely(now):
            return self.put(replace(row, **written, written_at=now))  # type: ignore[arg-type]
        return self._add(occurrence, attempt=0, **written, written_at=now)

    def get(self, row_id: int) -> LedgerRow | None:
        """Return a row."""
        return self._rows.get(row_id)

    def put(self, row: LedgerRow) -> LedgerRow:
        """Replace or insert a row."""
        self._rows[row.id] = row
        if row.status == "running":
            self._running[row.source] = row.id
        elif self._running.get(row.source) == row.id:
            del self._running[row.source]
        return row

    def delete_oldest(self, before: datetime, limit: int) -> int:
        """Delete ended rows scheduled before a moment, the oldest first; return how many."""
        passed: dict[str, list[tuple[datetime, int]]] = {}
        deleted = 0
        # The times of each source are in order, and what is deleted is at their begin.
        for time in merge(*self._times.values()):
            if deleted == limit or time[0] >= before:
                break
            row = self._rows[time[1]]
            passed.setdefault(row.source, []).append(time)
            if row.status != "running":
                del self._rows[row.id], self._ids[occurrence_key(row.occurrence)]
                self._requests.pop(row.id, None)
                deleted += 1
        for source, times in passed.items():
            self._times[source][: len(times)] = [each for each in times if each[1] in self._rows]
            if not self._times[source]:
                del self._times[source]
        return deleted

    def find(
        self,
        source: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        status: str | None = None,
        before_id: int | None = None,
    ) -> Iterator[LedgerRow]:
        """Yield rows with ``since <= scheduled_at < until``, the latest id first.

        What a claim and a look ask for, the running rows and those of the last minutes, costs the
        same however many rows there are.
        """
        ids: Iterable[int]
        if status == "running":
            ids = sorted(self._running.values(), reverse=True)
        elif source is None and since is None and until is None:
            ids = reversed(self._rows)  # new ids come last, and a row keeps its place
        else:
            sources = self._times if source is None else (source,)
            found = (self._between(each, since, until) for each in sources)
            ids = sorted(chain.from_iterable(found), reverse=True)
        for row_id in ids:
            row = self._rows[row_id]
            if (
                (source is None or row.source == source)
                and (since is None or row.scheduled_at >= since)
                and (until is None or row.scheduled_at < until)
                and (status is None or row.status == status)
                and (before_id is None or row.id < before_id)
            ):
                yield row

    def _between(self, source: str, since: datetime | None, until: datetime | None) -> list[int]:
        times = self._times.get(source, [])
        begin = 0 if since is None else bisect_left(times, (since, 0))
        end = len(times) if until is None else bisect_left(times, (until, 0))
        return [row_id for _, row_id in times[begin:end]]

    def abandoned(self) -> list[LedgerRow]:
        """Return the running rows whose lease is over."""
        running = (self._rows[row_id] for row_id in sorted(self._running.values()))
        return [row for row in running if self._is_over(row)]

    def now(self) -> datetime:
        """Return the loop's time, counted from what the wall clock showed at the first call.

        In a simulation, where the wall clock of a node may be wrong, its loop returns the true
        time, also in another simulation that begins at another time.
        """
        loop = asyncio.get_running_loop()
        true_time: Callable[[], datetime] | None = getattr(loop, "true_time", None)
        if true_time is not None:
            return true_time()
        seconds = timedelta(seconds=loop.time())
        if self._clock_began is None:
            self._clock_began = datetime.now(UTC) - seconds
        return self._clock_began + seconds

    def _is_over(self, row: LedgerRow) -> bool:
        return row.lease_until is not None and row.lease_until <= self.now()

    def _obstacle(self, row_id: int | None, request: ClaimRequest) -> Obstacle | None:
        if row_id is None:
            return None
        row, claimed = self._rows[row_id], self._requests.get(row_id)
        return Obstacle(
            row,
            lease_is_over=self._is_over(row),
            is_same_claim=claimed is not None and claimed.token == request.token,
            is_untimely=row.is_untimely(self.now()),
            function=claimed.function if claimed else None,
        )

    def _claimed(self, request: ClaimRequest) -> dict[str, Any]:
        claimed_at = in_utc(request.claimed_at, "claimed_at")
        return {
            "instance": request.instance,
            "status": "running",
            "claimed_at": claimed_at,
            "lease_until": self.now() + request.lease,
            "started_at": claimed_at,
            "written_at": None,
        }

    def _add(self, occurrence: Occurrence, **fields: Any) -> LedgerRow | None:
        source, scheduled_at, trigger = key = occurrence_key(occurrence)
        if key in self._ids:
            return None
        self._last_id += 1
        self._ids[key] = self._last_id
        insort(self._times.setdefault(source, []), (scheduled_at, self._last_id))
        empty: dict[str, Any] = dict.fromkeys(LedgerRow.__dataclass_fields__)
        known = {
            "id": self._last_id,
            "source": source,
            "scheduled_at": scheduled_at,
            "trigger": trigger,
            "lost": 0,
        }
        return self.put(LedgerRow(**empty | known | fields))


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
        return await claim_occurrence(self._rows, request)

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
        return self._rows.insert_unclaimed(occurrence, instance, "missed", reason)

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

    async def reset_watermark(self, source: str, seen: datetime, until: datetime) -> None:
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
