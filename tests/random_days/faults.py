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
from kst_scheduler.ledger import Claim
from kst_scheduler.ledger.memory import MemoryRows
from kst_scheduler.simulation import current_node
from kst_scheduler.simulation.redis_server import SimulatedRedis
from random_days.marks import Mark, Marks
from random_days.plan import END, MIDNIGHT, true_time
from random_days.watch import Took

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio import Redis

    from kst_scheduler.ledger import ClaimRequest, LedgerRow
    from random_days.plan import Day, Outage, WrongClock
    from random_days.strikes import Strikes
    from random_days.watch import Watch

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


CARRIED_OUT_LATE: Final = {
    "claim": Mark.CLAIM_CARRIED_OUT_LATE,
    "renew": Mark.RENEWAL_CARRIED_OUT_LATE,
    "finish": Mark.WRITE_CARRIED_OUT_LATE,
}


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
        self.strikes: Strikes | None = None
        self.marks = Marks()
        self.took: list[Took] = []
        """Each claim that had a row which was there before."""
        self.on_close: Callable[[LedgerRow], object] = lambda _row: None
        self.on_claim: Callable[[Claim], object] = lambda _claim: None

    async def close_abandoned(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        """Close a row, for a look or for a claim, and say so."""
        return await self._struck("close", partial(self._close, row, reason))  # type: ignore[no-any-return]

    async def _close(self, row: LedgerRow, reason: str) -> LedgerRow | None:
        closed = await super().close_abandoned(row, reason)
        if closed:
            self.on_close(closed)
            return closed
        is_closed = (self.get(row.id) or row).status == "error"
        self.marks.add(Mark.CLOSE_RACES_CLOSE if is_closed else Mark.CLOSE_RACES_RUN)
        return None

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

    async def _struck(self, step: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out a statement of a claim, in which the process may be struck."""
        strike = self.strikes.next_call(step) if self.strikes else None
        if strike is None:
            return await ask()
        assert self.strikes is not None
        found = None
        for is_done in (False, True):
            if is_done:
                found = await ask()
            if self.strikes.hit(strike, is_done=is_done):
                self.strikes.note_lost("ledger", "deaf" if is_done else "away", LIMIT)
                raise LedgerUnavailableError(f"the connection broke at the {step}")
        return found

    async def insert(self, request: ClaimRequest) -> int | None:
        """Insert, after a while."""
        await self._pause()
        row_id: int | None = await self._struck("insert", partial(self._insert, request))
        return row_id

    async def _insert(self, request: ClaimRequest) -> int | None:
        row_id = await super().insert(request)
        if row_id is not None:
            self.on_claim(Claim(row_id, 1, request))
        return row_id

    async def obstacles(self, *arguments: Any) -> Any:
        """Read, and answer after a while."""
        found = await self._struck("obstacles", partial(super().obstacles, *arguments))
        await self._pause()
        return found

    async def retake(self, *arguments: Any) -> Any:
        """Retake, if the row is as it was seen: its atomic statement compares."""
        return await self._struck("retake", partial(self._retake_as_seen, *arguments))

    async def _retake_as_seen(self, *arguments: Any) -> Any:
        row, request, attempt = arguments[:3]
        running = self._running.get(request.occurrence.job_id)
        if self.get(row.id) != row or running not in {None, row.id}:
            self._note_too_late(row)
            return False
        self._note_taken(row, request, attempt)
        is_taken = await super().retake(*arguments)
        self.on_claim(Claim(row.id, attempt, request))
        return is_taken

    def _note_too_late(self, seen: LedgerRow) -> None:
        now = self.get(seen.id)
        if seen.status != "running" or now is None or now == seen:
            return
        if now.attempt > seen.attempt:
            self.marks.add(Mark.TOO_LATE_FOR_A_TAKEOVER)
        else:
            self.marks.add(Mark.ENDED_BEFORE_TAKEOVER)

    def _note_taken(self, seen: LedgerRow, request: ClaimRequest, attempt: int) -> None:
        if attempt == seen.attempt:
            self.marks.add(Mark.CLAIM_KNOWN_AGAIN)
            return
        self.took.append(Took(true_time(), request, seen))
        mark = {
            "running": Mark.TAKEN_OVER_AGAIN if seen.lost else Mark.TAKEN_OVER,
            "skipped": Mark.SKIPPED_IS_RUN,
            "missed": Mark.UNTIMELY_IS_RUN,
        }
        self.marks.add(mark[seen.status])

    async def skip(self, *arguments: Any) -> Any:
        """Skip."""
        self.marks.add(Mark.SKIPPED)
        return await self._struck("skip", partial(super().skip, *arguments))


def memory_rows(day: Day, strikes: Strikes) -> SlowRows:
    """Return rows whose clock is true, and whose claims can be slow."""
    rows = SlowRows(outages_of(day, "ledger"))
    rows.wrong_clocks = day.wrong_clocks
    rows.strikes = strikes
    return rows


def outages_of(day: Day, server: str) -> list[Outage]:
    """Return the outages of one server."""
    return [each for each in day.outages if each.server == server]


class FaultyLedger:
    """Stands before a ledger, and lets only some statements, or some answers, through."""

    def __init__(self, ledger: Watch, day: Day, strikes: Strikes) -> None:
        self._ledger = ledger
        self._outages = outages_of(day, "ledger")
        self._strikes = strikes

    def is_away(self) -> bool:
        """Tell whether the ledger does nothing for anybody now."""
        return _now_on(self._outages) in {"away", "down"}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._ledger, name)
        if not inspect.iscoroutinefunction(found):
            return found
        asked = self.__dict__[name] = partial(self._ask, found)  # from here on without this method
        return asked

    async def _ask(self, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        strike = self._strikes.next_call(method.__name__)
        if self._strikes.hit(strike, is_done=False):
            if strike and strike.kind == "late":
                self._strikes.note_lost("ledger", "late", LIMIT)
                await self._answer_late(method, *args, **kwargs)
            self._strikes.note_lost("ledger", "away", LIMIT)
            raise LedgerUnavailableError("the connection broke")
        answer = await self._ask_server(method, *args, **kwargs)
        if self._strikes.hit(strike, is_done=True):
            self._strikes.note_lost("ledger", "deaf", LIMIT)
            await self._time_out()
        return answer

    async def _ask_server(
        self, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> Any:
        kind = _now_on(self._outages)
        if kind == "away":
            raise LedgerUnavailableError("no connection")
        if kind == "read-only" and method.__name__ not in READS:
            raise LedgerUnavailableError("cannot execute INSERT in a read-only transaction")
        if kind == "down":
            raise LedgerUnavailableError("the database system is starting up", is_down=True)
        if kind == "late":
            await self._answer_late(method, *args, **kwargs)
        answer = await _answer(kind, lambda: method(*args, **kwargs))
        if kind == "deaf":
            await self._time_out()
        return answer

    async def _answer_late(
        self, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> None:
        ask = partial(method, *args, **kwargs)
        self._later = asyncio.create_task(_later(self._ledger.marks, method.__name__, ask))
        await self._time_out()

    async def _time_out(self) -> None:
        await asyncio.sleep(LIMIT)
        raise LedgerUnavailableError(f"no answer within {LIMIT:g} s")


async def _answer(kind: str | None, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask; where it is slow, wait once before the call and once after it."""
    if kind == "slow":
        await asyncio.sleep(PACE)
    answer = await ask()
    if kind == "slow":
        await asyncio.sleep(PACE)
    return answer


async def _later(marks: Marks, step: str, ask: Callable[[], Awaitable[Any]]) -> None:
    await asyncio.sleep(LATE)
    with contextlib.suppress(Exception):  # nobody is there to hear of it
        if await ask() and step in CARRIED_OUT_LATE:
            marks.add(CARRIED_OUT_LATE[step])


class FaultyRedis:
    """One Redis server, whose clients cannot always reach it."""

    def __init__(self, day: Day, strikes: Strikes) -> None:
        self._server = SimulatedRedis()
        self._outages = outages_of(day, "Redis")
        self._strikes = strikes
        self._emptied = [each.end for each in self._outages if each.kind == "emptied"]

    def client(self) -> Redis:
        """Return redis-py's client."""
        client = self._server.client()
        client.execute_command = partial(self._ask, client.execute_command)  # type: ignore[method-assign]
        return client

    async def _ask(self, execute: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        strike = self._strikes.next_call(args[0])
        if self._strikes.hit(strike, is_done=False):
            self._strikes.note_lost("Redis", "away", RETRIES)
            await self._time_out()
        answer = await self._ask_server(execute, *args, **options)
        if self._strikes.hit(strike, is_done=True):
            # As redis-py does where an answer is lost: what it asked is done twice.
            self._strikes.note_lost("Redis", "deaf", RETRIES)
            answer = await self._ask_server(execute, *args, **options)
        return answer

    async def _ask_server(
        self, execute: Callable[..., Awaitable[Any]], *args: Any, **options: Any
    ) -> Any:
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
