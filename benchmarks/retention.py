"""How long it takes to delete old rows, and whether another replica can claim meanwhile.

Purpose: fills a ledger with rows of 90 days, as many on SQLite and on the embedded PostgreSQL, and
  deletes those older than 7 days as a Reconciler does; a second process claims and finishes runs
  all the while. Prints the time of a batch, and how long a claim took before and during that.
Limits: one run; the rows are 50 jobs in turn, one every few seconds. A
  Reconciler deletes 100,000 rows a look and goes on at the next one; here it is one call.
Run: ``uv run python benchmarks/retention.py --rows 4000000``
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy

from kst_scheduler.ledger import ClaimRequest, Outcome, SqlLedger
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.servers import embedded_postgres

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

JOBS = 50
KEPT, FILLED = timedelta(days=7), timedelta(days=90)
PAUSE = 0.05
"""Seconds from one claim to the next."""
QUIET = 5.0
"""For how many seconds claims are measured before rows are deleted."""

INSERT = """
    INSERT INTO crawl_runs (source, scheduled_at, attempt, instance, status, "rows", duration_ms,
        "trigger", claimed_at, started_at, finished_at, token)
    SELECT 'nightly-crawl-' || (n % {jobs}), {moment}, 1, 'replica-a:4711', 'ok', n, 61000,
        'schedule', {moment}, {moment}, {moment}, 'aac2e3b7f1c84d0c9d5ea8a1f0b3c6d7' || n
    FROM {numbers}
"""
NUMBERS = {
    "sqlite": "(WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count "
    "WHERE n < {rows}) SELECT n FROM count)",
    "postgresql": "generate_series(1, {rows}) AS n",
}
MOMENT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S.000000', {start} + n * {step}, 'unixepoch')",
    "postgresql": "date_trunc('second', to_timestamp({start} + n * {step}))",
}


def fill(url: str, rows: int) -> None:
    """Insert ended rows, the same time apart, from 90 days ago to now."""
    dialect = url.partition(":")[0]
    start = int((datetime.now(UTC) - FILLED).timestamp())
    step = FILLED.total_seconds() / rows
    moment = MOMENT[dialect].format(start=start, step=step)
    numbers = NUMBERS[dialect].format(rows=rows)
    statement = INSERT.format(jobs=JOBS, moment=moment, numbers=numbers)
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    connection = engine.raw_connection()  # without parameters, a % is a % to both drivers
    connection.cursor().execute(statement)
    connection.commit()
    connection.close()
    engine.dispose()


async def claim_until_stopped(url: str, pipe: Connection) -> list[tuple[float, float]]:
    """Return when each claim began, and the seconds that it took with the end of its run."""
    ledger = SqlLedger(url)
    await ledger.open()
    times: list[tuple[float, float]] = []
    while not pipe.poll():
        now, began = datetime.now(UTC), time.time()
        of = Occurrence("another-job", now, manual=True)
        claim = await ledger.claim(ClaimRequest(of, "replica-b", timedelta(seconds=60), now))
        times.append((began, time.time() - began))
        await ledger.finish(claim, Outcome("ok", now, timedelta()))
        await asyncio.sleep(PAUSE)
    await ledger.close()
    return times


def replica(url: str, pipe: Connection) -> None:
    """Claim in a process of its own."""
    pipe.send(asyncio.run(claim_until_stopped(url, pipe)))


async def delete_old(url: str) -> tuple[int, list[float]]:
    """Delete what is old; return how many rows that were, and the seconds of each batch."""
    ledger = SqlLedger(url)
    await ledger.open()
    fetch, batches = ledger._database.fetch, list[float]()

    async def timed(statement: Any, parameters: Any = None) -> Sequence[Any]:
        began = time.perf_counter()
        rows = await fetch(statement, parameters)
        batches.append(time.perf_counter() - began)
        return rows

    ledger._database.fetch = timed  # type: ignore[method-assign]
    deleted = await ledger.delete_before(datetime.now(UTC) - KEPT)
    await ledger.close()
    return deleted, batches


async def make(url: str) -> None:
    """Create the tables."""
    ledger = SqlLedger(url)
    await ledger.open()
    await ledger.close()


def measure(url: str, rows: int) -> None:
    """Fill a ledger, delete old rows, and print what it took."""
    asyncio.run(make(url))
    began = time.perf_counter()
    fill(url, rows)
    filled = time.perf_counter() - began
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=replica, args=(url, there))
    other.start()
    time.sleep(QUIET)
    began = time.time()
    deleted, batches = asyncio.run(delete_old(url))
    ended = time.time()
    here.send("stop")
    claims = here.recv()
    other.join()
    print(f"{url.partition(':')[0]}: {rows:,} rows, filled in {filled:.0f} s")
    seconds = ended - began
    print(f"  {deleted:,} deleted in {seconds:.0f} s, {len(batches)} batches; ", end="")
    print("a batch:", spread(batches))
    print("  a claim of the other process, before:", spread([s for at, s in claims if at < began]))
    during = [s for at, s in claims if began <= at < ended]
    print(f"  {len(during)} claims meanwhile:", spread(during), flush=True)


def spread(seconds: list[float]) -> str:
    """Return the median, the 99th percentile and the maximum, in milliseconds."""
    ordered = sorted(seconds)
    late = ordered[int(len(ordered) * 0.99)]
    figures = (statistics.median(ordered), late, ordered[-1])
    return "median {:.0f} ms, p99 {:.0f} ms, max {:.0f} ms".format(*(1000 * s for s in figures))


def main() -> int:
    """Measure both databases."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{Path(folder, 'ledger.db')}", rows)
    with embedded_postgres() as postgres:
        measure(postgres.url, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
