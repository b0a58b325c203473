"""How much ``once`` costs an empty job, on a real PostgreSQL and a real Valkey.

Purpose: prints the time a run takes
  - bare: redis-py's Lock taken and released around two statements through asyncpg, the least that
    could do the same;
  - once + lock: a job of ``once(ledger, lock)`` with ``redis_lock`` and ``SqlLedger``;
  - once: the same without a lock, which the ledger does not need.
Limits: ratios of medians within one run; each round takes all three in turn, on the same servers.
Run: ``uv run python benchmarks/once.py``
"""

from __future__ import annotations

import asyncio
import functools
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import redis.asyncio

from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.scheduler.occurrence import RUNNING
from kst_scheduler.servers import embedded_postgres, embedded_valkey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Run = Callable[[datetime], Awaitable[None]]

ROUNDS = 15
RUNS = 200
TARGET = 2.5

TABLE = """
CREATE TABLE bare (
    id bigserial PRIMARY KEY, source text, scheduled_at timestamptz, status text,
    claimed_at timestamptz, finished_at timestamptz, UNIQUE (source, scheduled_at)
)
"""
INSERT = """
INSERT INTO bare (source, scheduled_at, status, claimed_at) VALUES ($1, $2, 'running', $3)
ON CONFLICT DO NOTHING RETURNING id
"""
UPDATE = "UPDATE bare SET status = 'ok', finished_at = $2 WHERE id = $1"


async def main() -> None:
    """Measure in turns, and print the medians and their ratio."""
    async with embedded_postgres() as postgres, embedded_valkey() as valkey:
        client = redis.asyncio.Redis.from_url(valkey.url)
        connection = await asyncpg.connect(postgres.url)
        await connection.execute(TABLE)
        ledger = SqlLedger(postgres.url)
        await ledger.open()

        @once(ledger)
        async def claimed() -> None: ...

        @once(ledger, functools.partial(redis_lock, "lock:empty", 30, client=client))
        async def claimed_and_locked() -> None: ...

        async def bare(moment: datetime) -> None:
            async with client.lock("lock:bare", timeout=30, blocking=False):
                row = await connection.fetchval(INSERT, "empty", moment, datetime.now(UTC))
                await connection.execute(UPDATE, row, datetime.now(UTC))

        async def with_lock(moment: datetime) -> None:
            RUNNING.set(("empty", moment, False))
            await claimed_and_locked()

        async def without_lock(moment: datetime) -> None:
            RUNNING.set(("unlocked", moment, False))
            await claimed()

        kinds: dict[str, Run] = {"bare": bare, "once + lock": with_lock, "once": without_lock}
        times = await in_turns(kinds)
        await ledger.close()
        await connection.close()
        await client.aclose()
    floor = statistics.median(times["bare"])
    print("median of", ROUNDS, "rounds of", RUNS, "runs, in microseconds a run")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:12} {median * 1e6:7.0f}   {median / floor:5.2f}x")
    print(f"target: once + lock at most {TARGET}x of bare")


async def in_turns(
    kinds: dict[str, Run],
) -> dict[str, list[float]]:
    """Return the seconds a run of each kind, a number a round; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in kinds}
    moment = datetime(2026, 5, 9, 18, tzinfo=UTC)
    for _ in range(ROUNDS + 1):
        for name, run in kinds.items():
            moments = [moment + timedelta(minutes=minute) for minute in range(RUNS)]
            began = time.perf_counter()
            for each in moments:
                await run(each)
            times[name].append((time.perf_counter() - began) / RUNS)
        moment = moments[-1] + timedelta(minutes=1)
    return {name: seconds[1:] for name, seconds in times.items()}


if __name__ == "__main__":
    asyncio.run(main())
