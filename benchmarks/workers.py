"""How many occurrences a queue and its workers get through, on one PostgreSQL.

Purpose: starts a real PostgreSQL, and 1, 2 and 4 worker processes in turn, and prints a second
  - defers: occurrences that one replica puts into the queue;
  - claims: rows that one process claims and finishes, without a queue, over a ledger's connections;
  - handed off, empty: occurrences of a job that does nothing, taken, claimed, finished and deleted;
  - handed off, waiting: those of a job that waits a tenth of a second, as for an answer;
and for the last two the ratio to one worker, and how many cores the workers and PostgreSQL used.
Limits: PostgreSQL and all workers share the cores of one machine, so where a job does nothing, more
workers than cores add nothing. A round's time is from the first row's start to the last one's end.
Run: ``uv run python benchmarks/workers.py`` (a minute)
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import psycopg

from kst_scheduler.distributed import hand_off, task_app, work
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.ledger.engines import LEDGER_CONNECTIONS
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import RUNNING
from kst_scheduler.servers import embedded_postgres
from kst_scheduler.servers.child import spawn
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from procrastinate import App

COUNTS = (1, 2, 4)
"""How many workers."""
CONCURRENCY = 8
"""How many occurrences each of them runs at once."""
JOBS = 4 * CONCURRENCY * max(COUNTS)
"""How many jobs have them: two runs of one job do not overlap."""
EMPTY, WAITING = 2_000, 600
"""How many occurrences a round has."""
SECONDS_OF_WAITING = 0.1
ENDED = "SELECT 1 FROM crawl_runs WHERE status <> 'running' HAVING count(*) >= %s"
SESSIONS = "SELECT pid FROM pg_stat_activity"
READY = timedelta(days=30)
"""Within which the workers find everything in time."""


async def empty() -> None:
    """Do nothing."""


async def waiting() -> None:
    """Wait for an answer."""
    await asyncio.sleep(SECONDS_OF_WAITING)


def jobs(ledger: SqlLedger, app: App) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return the jobs as they are added everywhere."""
    run = once(ledger, catch_up=READY)
    return {job.__name__: hand_off(run(job), app) for job in (empty, waiting)}


async def serve(url: str) -> None:
    """Be a worker until killed."""
    ledger, app, scheduler = SqlLedger(url), task_app(url), KSTScheduler()
    await ledger.open()
    for name, job in jobs(ledger, app).items():
        for number in range(JOBS):
            scheduler.add_job(job, cron(hour=3), id=f"{name}-{number}")
    await work(app, scheduler, concurrency=CONCURRENCY)


async def all_at(
    job: Callable[[], Awaitable[object]], job_id: str, count: int, at_once: int
) -> float:
    """Run a job as a scheduler does, for as many occurrences; return how many a second."""
    places, moment = asyncio.Semaphore(at_once), datetime.now(UTC).replace(microsecond=0)

    async def fire(number: int) -> None:
        async with places:
            scheduled_at = moment - timedelta(seconds=number // JOBS)
            RUNNING.set((f"{job_id}-{number % JOBS}", scheduled_at, False))
            await job()

    began = time.perf_counter()
    await asyncio.gather(*map(fire, range(count)))
    return count / (time.perf_counter() - began)


def cpu_seconds(processes: Iterable[int]) -> float:
    """Return the CPU time that processes have used so far."""
    times = [psutil.Process(each).cpu_times() for each in processes]
    return sum(each.user + each.system for each in times)


async def round_of(url: str, ledger: SqlLedger, workers: int, count: int) -> tuple[float, float]:
    """Let workers empty the queue; return occurrences a second, and the cores that were busy."""
    command = [sys.executable, __file__, "worker"]
    environment = os.environ | {"DATABASE_URL": url}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [
        spawn(command, ends_by=signal.SIGKILL, env=environment, **quiet) for _ in range(workers)
    ]
    with psycopg.connect(url, autocommit=True) as connection:

        async def until(ended: int) -> tuple[float, float]:
            while not connection.execute(ENDED, [ended]).fetchall():  # noqa: ASYNC110 - a server
                await asyncio.sleep(0.2)
            sessions = [pid for (pid,) in connection.execute(SESSIONS).fetchall()]
            used = cpu_seconds([*sessions, *(process.pid for process in processes)])
            return used, time.perf_counter()

        first, began = await until(count // 10)
        last, ended = await until(count)
    for process in processes:
        process.kill()
        process.wait()
    done = await ledger.history()
    took: timedelta = done["finished_at"].max() - done["started_at"].min()
    return count / took.total_seconds(), (last - first) / (ended - began)


async def main() -> None:
    """Measure, and print."""
    async with embedded_postgres() as server:
        ledger, app = SqlLedger(server.url), task_app(server.url)
        await ledger.open()
        await app.open_async()
        handed = jobs(ledger, app)
        bare = once(ledger)(empty)
        claims = await all_at(bare, "claimed", EMPTY, LEDGER_CONNECTIONS["postgresql"])
        print(f"claims and finishes a second, no queue     {claims:7.0f}")
        for job_id, count in (("empty", EMPTY), ("waiting", WAITING)):
            first = 0.0
            for workers in COUNTS:
                await ledger.delete_before(datetime.now(UTC) + READY)
                defers = await all_at(handed[job_id], job_id, count, 4)
                if job_id == "empty" and not first:
                    print(f"defers a second, one replica               {defers:7.0f}")
                rate, cores = await round_of(server.url, ledger, workers, count)
                first = first or rate
                print(f"{job_id} jobs a second, {workers} worker(s)", end="")
                print(
                    f"{rate:{27 - len(job_id)}.0f}   {rate / first:5.2f}x   {cores:.1f} cores",
                    flush=True,
                )
        await app.close_async()
        await ledger.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        asyncio.run(serve(os.environ["DATABASE_URL"]))
    else:
        asyncio.run(main())
