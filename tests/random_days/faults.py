"""A ledger and a Redis server that are away, slow, deaf, late or emptied, as the day has it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger.memory import MemoryRows
from kst_scheduler.simulation import current_node
from kst_scheduler.simulation.redis_server import SimulatedRedis
from random_days.plan import END, MIDNIGHT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio import Redis

    from kst_scheduler.ledger import LedgerRow, MemoryLedger
    from random_days.plan import Day, Outage, WrongClock

PACE: Final = 2.0
"""Seconds that a slow server takes on the way in, and on the way out."""

LIMIT: Final = 10.0
"""Seconds after which a statement without an answer is given up, as SqlLedger does."""

READS: Final = frozenset({"now", "rows", "history", "abandoned", "watermark"})
"""What a ledger answers that can only be read."""

RETRIES: Final = 3.0
"""Seconds for which redis-py tries to connect."""

LATE: Final = 200.0
"""Seconds after which a statement that was held up is carried out all the same."""


def true_time() -> datetime:
    """Return the time, whatever the clock of the calling node shows."""
    return MIDNIGHT + timedelta(seconds=asyncio.get_running_loop().time())


def _now_on(outages: Sequence[Outage]) -> str | None:
    if not outages:
        return None  # a day asks some thousand times
    moment = true_time()
    return next((each.kind for each in outages if each.covers(moment) and _is_here(each)), None)


def _is_here(outage: Outage) -> bool:
    return not outage.node or outage.node == current_node()


class SlowRows(MemoryRows):
    """Rows whose claim takes several steps, between which other replicas come."""

    def __init__(self, outages: Sequence[Outage]) -> None:
        super().__init__()
        self._clock_began = MIDNIGHT  # else the wall clock of whichever node comes first
        self._outages = outages
        self.wrong_clocks: Sequence[WrongClock] = ()
        self.on_close: Callable[[LedgerRow], object] = lambda _row: None

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """Close a row, for a look or for a claim, and say so."""
        closed = await super().close_abandoned(row, reason)
        if closed:
            self.on_close(closed)
        return closed

    async def _pause(self) -> None:
        if _now_on(self._outages) == "slow":
            await asyncio.sleep(PACE)

    def now(self) -> datetime:
        """Return the true time, unless the ledger's clock is wrong."""
        moment = super().now()
        if self.wrong_clocks:
            for each in self.wrong_clocks:
                if each.start <= moment < each.end:
                    return moment + timedelta(seconds=each.seconds)
        return moment

    async def insert(self, *arguments: Any) -> Any:
        """Insert, after a while."""
        await self._pause()
        return await super().insert(*arguments)

    async def obstacles(self, *arguments: Any) -> Any:
        """Read, and answer after a while."""
        found = await super().obstacles(*arguments)
        await self._pause()
        return found

    async def retake(self, *arguments: Any) -> Any:
        """Retake, if the row is as it was seen: its atomic statement compares."""
        row, request = arguments[:2]
        running = self._running.get(request.occurrence.job_id)
        if self.get(row.id) != row or running not in {None, row.id}:
            return False
        return await super().retake(*arguments)


def memory_ledger(kind: type[MemoryLedger], day: Day) -> MemoryLedger:
    """Return a ledger whose clock is true, and whose claims can be slow."""
    ledger = kind()
    ledger._rows = rows = SlowRows(outages_of(day, "ledger"))
    rows.wrong_clocks = day.wrong_clocks
    return ledger


def outages_of(day: Day, server: str) -> list[Outage]:
    """Return the outages of one server."""
    return [each for each in day.outages if each.server == server]


class FaultyLedger:
    """Stands before a ledger, and lets only some statements, or some answers, through."""

    def __init__(self, ledger: Any, day: Day) -> None:
        self._ledger = ledger
        self._outages = outages_of(day, "ledger")

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ledger, name)
        if not inspect.iscoroutinefunction(found):
            return found
        asked = self.__dict__[name] = partial(self._ask, found)  # from here on without this method
        return asked

    async def _ask(self, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        kind = _now_on(self._outages)
        if kind == "away":
            raise LedgerUnavailableError("no connection")
        if kind == "read-only" and method.__name__ not in READS:
            raise LedgerUnavailableError("cannot execute INSERT in a read-only transaction")
        if kind == "down":
            raise LedgerUnavailableError("the database system is starting up", is_down=True)
        if kind == "late":
            self._later = asyncio.create_task(_later(partial(method, *args, **kwargs)))
            await self._time_out()
        answer = await _answer(kind, lambda: method(*args, **kwargs))
        if kind == "deaf":
            await self._time_out()
        return answer

    async def _time_out(self) -> None:
        await asyncio.sleep(LIMIT)
        raise LedgerUnavailableError(f"no answer within {LIMIT:g} s")


async def _answer(kind: str | None, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask, and take one pace on the way there and one on the way back where it is slow."""
    if kind == "slow":
        await asyncio.sleep(PACE)
    answer = await ask()
    if kind == "slow":
        await asyncio.sleep(PACE)
    return answer


async def _later(ask: Callable[[], Awaitable[Any]]) -> None:
    await asyncio.sleep(LATE)
    with contextlib.suppress(Exception):  # nobody is there to hear of it
        await ask()


class FaultyRedis:
    """One Redis server, whose clients cannot always reach it."""

    def __init__(self, day: Day) -> None:
        self._server = SimulatedRedis()
        self._outages = outages_of(day, "Redis")
        self._emptied = [each.end for each in self._outages if each.kind == "emptied"]

    def client(self) -> Redis:
        """Return redis-py's client."""
        client = self._server.client()
        client.execute_command = partial(self._ask, client.execute_command)  # type: ignore[method-assign]
        return client

    async def _ask(self, execute: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        kind = _now_on(self._outages)
        if kind in {"away", "emptied"}:
            await self._time_out()
        while any(each <= true_time() for each in self._emptied):
            self._emptied.remove(min(self._emptied))
            # At once: an awaited FLUSHALL takes what others set meanwhile.
            with self._server._server.lock:
                for database in self._server._server.dbs.values():
                    database.clear()
        answer = await _answer(kind, lambda: _whole(execute(*args, **options)))
        if kind == "deaf":
            await self._time_out()
        return answer

    def held(self) -> set[str]:
        """Return the names of the locks that somebody holds; at the end of a day."""
        end = END.timestamp()
        return {
            key.decode()
            for database in self._server._server.dbs.values()
            for key, item in database._dict.items()
            if item.expireat is None or item.expireat > end
        }

    async def _time_out(self) -> None:
        await asyncio.sleep(RETRIES)
        raise RedisConnectionError("no connection")


async def _whole(answer: Awaitable[Any]) -> Any:
    """Await an answer; a node that has crashed in the middle is torn down without a word."""
    try:
        return await answer
    except RuntimeError:
        if asyncio._get_running_loop() is None:  # fakeredis asks for the loop when it is closed
            raise GeneratorExit from None
        raise
