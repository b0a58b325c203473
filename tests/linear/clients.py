"""Clients that compete for a few rows of a ledger, and note each call and each answer."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from sqlalchemy import event

from kst_scheduler.errors import LedgerUnavailableError, LockedOutError
from kst_scheduler.ledger import Claim, ClaimRequest, Outcome
from kst_scheduler.scheduler.occurrence import Occurrence
from linear.history import seen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from kst_scheduler.ledger import Ledger, LedgerRow, SqlLedger
    from linear.history import Notes

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""When each occurrence is due: no row is called missed before its time."""
LEASES: Final = (0.02, 0.05, 0.1)
"""Seconds. A call takes some milliseconds."""
HOT: Final = 12
"""How many rows are fought for at a time."""
DROPPED: Final = 0.02
"""How often an answer is not waited for; the statement was sent, or is about to be."""
CUT: Final = 0.002
"""How often all connections of a process are cut during a call."""
SOON: Final = 0.003
"""Seconds within which that happens."""

_LOST: Final = object()
"""In place of an answer that was lost."""
_REFUSAL: Final = re.compile(r"was claimed by (\S+?)(?:: (\w+)|, whose lease is over)")


def cutter(ledger: SqlLedger) -> Callable[[], None] | None:
    """Return what cuts all connections of a ledger, so that what was sent is not answered.

    None: it is SQLite, which has no connections.
    """
    engine = ledger._database._engine.sync_engine
    if engine.dialect.name == "sqlite":
        return None
    opened: WeakSet[Any] = WeakSet()
    event.listen(engine, "connect", lambda made, _: opened.add(made.driver_connection))

    def cut() -> None:
        for connection in opened:
            if connection._transport:  # terminate() is no cut: it takes the protocol away
                connection._transport.abort()

    return cut


class Client:
    """One task of a process; it visits rows until it has made enough calls."""

    def __init__(
        self,
        ledger: Ledger,
        notes: Notes,
        random: Random,
        row: Callable[[Random], str],
        cut: Callable[[], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._notes = notes
        self._random = random
        self._row = row
        """Chooses a row that is hot now."""
        self._cut = cut

    async def run(self, calls: int) -> None:
        """Visit rows until the process has noted so many calls."""
        while self._notes.number < calls:
            visit = self._random.choices(
                [self._run, self._close, self._miss, self._look], [8, 2, 1, 1]
            )[0]
            await visit(self._row(self._random))

    # Visits

    async def _run(self, row: str) -> None:
        """Claim a row as ``once`` does, renew it, sometimes too late, and finish it or go away."""
        claim = await self._claim(row)
        if claim is None:
            return
        lease = claim.request.lease.total_seconds()
        for _ in range(self._random.randrange(8)):
            await asyncio.sleep(lease * self._random.choice([0, 0, 0, 0.1, 0.3, 1.2]))
            await self._renew(row, claim)
        if self._random.random() < 0.2:
            return
        await self._finish(row, claim)
        if self._random.random() < 0.1:  # one that does not know that it has ended
            await self._renew(row, claim)
            await self._finish(row, claim)

    async def _claim(self, row: str) -> Claim | None:
        """Claim a row; a request whose answer was lost is mostly made again."""
        chance = self._random.random
        request = ClaimRequest(
            Occurrence(row, LONG_AGO),
            self._notes.next_name(),
            timedelta(seconds=self._random.choice(LEASES)),
            LONG_AGO,
            take_over=chance() < 0.9,
            retry=chance() < 0.7,
        )
        asked = {
            "holder": request.instance,
            "lease": request.lease.total_seconds(),
            "retry": request.retry,
            "take_over": request.take_over,
        }

        async def claim() -> Claim | LockedOutError:
            try:
                return await self._ledger.claim(request)
            except LockedOutError as error:
                return error

        answer = _LOST
        while answer is _LOST:
            answer = await self._ask(row, "claim", asked, claim, _of_claim)
            if chance() < 0.3:
                break
        return answer if isinstance(answer, Claim) else None

    async def _renew(self, row: str, claim: Claim) -> None:
        asked = _about(claim) | {"lease": claim.request.lease.total_seconds()}
        await self._ask(row, "renew", asked, lambda: self._ledger.renew(claim))

    async def _finish(self, row: str, claim: Claim) -> None:
        """Finish a claim; what was not answered is mostly written again."""
        # "ok" is the end of the row, as nobody retries that.
        status = self._random.choices(["ok", "error", "cancelled"], [1, 12, 4])[0]
        finished = LONG_AGO + timedelta(microseconds=self._random.getrandbits(40))
        outcome = Outcome(status, finished, timedelta())
        asked = _about(claim) | {"status": status, "finished": finished.timestamp()}
        answer = _LOST
        while answer is _LOST and self._random.random() < 0.8:
            answer = await self._ask(
                row, "finish", asked, lambda: self._ledger.finish(claim, outcome)
            )

    async def _miss(self, row: str) -> None:
        who = self._notes.next_name()
        occurrence = Occurrence(row, LONG_AGO)
        if self._random.random() < 0.8:  # a missed row is cold
            return
        await self._ask(
            row,
            "miss",
            {"holder": who},
            lambda: self._ledger.record_missed(occurrence, "late", who),
            seen,
        )

    async def _look(self, row: str) -> LedgerRow | None:
        async def look() -> LedgerRow | None:
            rows = await self._ledger.rows(row)
            return rows[0] if rows else None

        answer = await self._ask(row, "look", {}, look, seen)
        return None if answer is _LOST else answer

    async def _close(self, row: str) -> None:
        """Close what a look saw running, whether its lease is over or not."""
        found = await self._look(row)
        if found is None or found.lease_until is None:
            return
        await asyncio.sleep(self._random.choice([0, 0, 0.03, 0.06]))
        asked = {"attempt": found.attempt, "lease": found.lease_until.timestamp()}
        reason = f"closed; {found.error}"
        await self._ask(
            row, "close", asked, lambda: self._ledger.close_abandoned(found, reason), seen
        )

    # Calls

    async def _ask(
        self,
        row: str,
        kind: str,
        asked: dict[str, Any],
        call: Callable[[], Awaitable[Any]],
        shown: Callable[[Any], Any] = lambda answer: answer,
    ) -> Any:
        """Make a call, and note it before and after; return _LOST where its answer is lost."""
        number = self._notes.call(row, kind, asked)
        try:
            answer = await self._disturbed(call)
        except LedgerUnavailableError:
            await asyncio.sleep(0.02)
            return _LOST
        if answer is not _LOST:
            self._notes.answer(number, shown(answer))
        return answer

    async def _disturbed(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make a call, and sometimes do not wait for its answer, or cut the connections."""
        chance, soon = self._random.random(), SOON * self._random.random()
        if chance >= DROPPED + CUT:
            return await call()
        task = asyncio.ensure_future(call())
        loop = asyncio.get_running_loop()
        if chance < DROPPED:
            loop.call_later(soon, task.cancel)
        elif self._cut:
            loop.call_later(soon, self._cut)
        await asyncio.wait([task])
        return _LOST if task.cancelled() else task.result()


def hot_row(began: float, seconds: float, random: Random) -> str:
    """Return the name of a row that all processes fight for now."""
    return f"{int((time.monotonic() - began) / seconds)}-{random.randrange(HOT)}"


def _about(claim: Claim) -> dict[str, Any]:
    return {"holder": claim.request.instance, "attempt": claim.attempt}


def _of_claim(answer: Claim | LockedOutError) -> Any:
    if not isinstance(answer, LockedOutError):
        return answer.attempt
    found = _REFUSAL.search(str(answer))
    assert found, answer
    holder, status = found.groups()
    return [holder, status or "running", status is None]
