"""What a transaction that stays open for two minutes does to the workers of a queue.

Purpose: starts a real PostgreSQL, and lets 300 jobs a second pass through a queue: for 20 s alone,
for 120 s while another session has a transaction with one snapshot open, as pg_dump has, and for
20 s after it. Autovacuum has its default settings: it looks once a minute. Prints, each 10 s, the
jobs that passed a second, the dead tuples in the queue's table, and the median time of a fetch.
Limits: one job at a time, and the server times the fetch: no round trip, and no other worker.
Run: ``uv run python benchmarks/long_transaction.py`` (three minutes)
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

from kst_scheduler.servers import embedded_postgres
from kst_workbook.scenes.busy_queue import JOBS_A_STEP, busy_queue

if TYPE_CHECKING:
    from kst_workbook.scenes.busy_queue import BusyQueue

RATE = 300
"""Jobs a second; one worker gets through a few more (benchmarks/workers.py)."""
LINE = 10
"""Seconds that a printed line covers."""


async def work(queue: BusyQueue, seconds: int) -> None:
    """Let jobs pass at the rate, or as fast as they can, and print."""
    for _ in range(seconds // LINE):
        steps, first = queue.steps, len(queue.steps)
        end = time.perf_counter() + LINE
        while (now := time.perf_counter()) < end:
            await queue.work(JOBS_A_STEP, vacuum=False)
            await asyncio.sleep(now + JOBS_A_STEP / RATE - time.perf_counter())
        rate = JOBS_A_STEP * (len(steps) - first) / (time.perf_counter() - end + LINE)
        fetch_ms = statistics.median(step.fetch_ms for step in steps[first:])
        held = "open" if steps[-1].report_is_open else ""
        print(f"{held:12}{rate:12.0f}{steps[-1].dead_tuples:12,}{fetch_ms:12.2f}", flush=True)


async def main() -> None:
    """Measure, and print."""
    async with embedded_postgres() as server, busy_queue(server.url) as queue:
        print(f"{'transaction':12}{'jobs a s':>12}{'dead':>12}{'fetch, ms':>12}")
        await work(queue, 20)
        async with queue.open_report():
            await work(queue, 120)
        await work(queue, 20)


if __name__ == "__main__":
    asyncio.run(main())
