"""Where the ceiling of the queue is: the CPU time of one occurrence on each side, and who waits.

Purpose: starts a real PostgreSQL, and measures the sides of a hand-off one by one:
  - defer: a replica puts occurrences into the queue, four at a time;
  - defer, 100 a statement: plain Procrastinate's ``batch_defer_async``, for comparison;
  - claim and finish: a process claims rows and ends them, without a queue;
  - procrastinate: plain workers take tasks that do nothing, and delete them;
  - hand_off: workers take occurrences of a job that does nothing, claim, finish and delete them;
  - hand_off, deferred meanwhile: the same, while a replica puts them there.
Printed are occurrences a second, the milliseconds of CPU time that one costs Python and PostgreSQL,
and how many cores that was. If that is less than the machine has, a process waits for an answer.
Limits: PostgreSQL, workers and replica share the cores of one machine. CPU times are from /proc, so
it runs on Linux only. On a busy machine they are longer, and the rates lower.
Run: ``uv run python benchmarks/ceiling.py`` (a minute; ``--workers 1 2 4 --concurrency 8 32``)
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import procrastinate
import psycopg

from kst_scheduler.distributed import hand_off, task_app, work
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.ledger.engines import LEDGER_CONNECTIONS
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import RUNNING
from kst_scheduler.servers.child import spawn
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

JOBS = 256
"""How many jobs the occurrences are of: two runs of one job do not overlap."""
DEFERS_AT_ONCE = 4
READY = timedelta(days=30)
LEFT = "SELECT count(*) FROM procrastinate_jobs"
ENDED = "SELECT count(*) FROM crawl_runs WHERE status = 'ok'"
POSTMASTER = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int"


async def empty() -> None:
    """Do nothing."""


def plain(url: str) -> tuple[procrastinate.App, Any]:
    """Return an app of plain Procrastinate, and its one task."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(queue="plain", name="plain")
    async def task(number: int) -> None: ...

    return app, task


async def serve(system: str, url: str, concurrency: int) -> None:
    """Be a worker until killed."""
    if system == "procrastinate":
        app, _ = plain(url)
        async with app.open_async():
            await app.run_worker_async(
                queues=["plain"],
                concurrency=concurrency,
                delete_jobs="successful",
                install_signal_handlers=False,
            )
    ledger, app, scheduler = SqlLedger(url), task_app(url), KSTScheduler()
    await ledger.open()
    job = hand_off(once(ledger, catch_up=READY)(empty), app)
    for number in range(JOBS):
        scheduler.add_job(job, cron(hour=3), id=str(number))
    await work(app, scheduler, concurrency=concurrency)


def cpu(pids: Iterable[int]) -> float:
    """Return the seconds of CPU that the first threads of processes have used."""
    seconds = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            seconds += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return seconds


@dataclass
class Meter:
    """What Python and PostgreSQL have used since it was made."""

    postmaster: int
    python: list[int]

    def __post_init__(self) -> None:
        self._began = self._now()

    def _now(self) -> tuple[float, float, float]:
        children = Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text()
        sessions = [self.postmaster, *map(int, children.split())]
        return time.perf_counter(), cpu(self.python), cpu(sessions)

    def show(self, what: str, count: int) -> None:
        """Print what so many occurrences have cost."""
        seconds, python, postgres = (
            end - began for end, began in zip(self._now(), self._began, strict=True)
        )
        print(
            f"{what:42}{count / seconds:8.0f}{1000 * python / count:9.2f}"
            f"{1000 * postgres / count:12.2f}{(python + postgres) / seconds:7.2f}",
            flush=True,
        )


async def all_at(put: Callable[[int], Awaitable[object]], count: int, at_once: int) -> None:
    """Call for each number, so many at once."""
    places = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with places:
            await put(number)

    await asyncio.gather(*map(one, range(count)))


class Bench:
    """One PostgreSQL, and a database of its own for each measurement."""

    def __init__(self, server: EmbeddedServer, count: int) -> None:
        self._server = server
        self._count = count
        with psycopg.connect(server.url) as connection:
            (self._postmaster,) = connection.execute(POSTMASTER).fetchone() or (0,)
        self._databases = 0

    def _database(self) -> str:
        self._databases += 1
        name = f"ceiling_{self._databases}"
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._server.url.removesuffix("postgres") + name

    def _meter(self, python: list[int] | None = None) -> Meter:
        return Meter(self._postmaster, python or [os.getpid()])

    async def claims(self) -> None:
        """Measure the ledger alone."""
        ledger = SqlLedger(self._database())
        await ledger.open()
        job, meter = _fired(once(ledger)(empty)), self._meter()
        await all_at(job, self._count, LEDGER_CONNECTIONS["postgresql"])
        meter.show("claim and finish", self._count)
        await ledger.close()

    async def procrastinate(self, workers: int, concurrency: int) -> None:
        """Measure plain Procrastinate."""
        url = self._database()
        app, task = plain(url)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            if workers == 1:
                hundreds, meter = range(self._count // 100), self._meter()
                for _ in hundreds:
                    await task.batch_defer_async(*({"number": number} for number in range(100)))
                meter.show("defer, 100 a statement", self._count)
            else:
                await all_at(lambda number: task.defer_async(number=number), self._count, 4)
        await self._work("procrastinate", url, workers, concurrency)

    async def handed_off(self, workers: int, concurrency: int, *, meanwhile: bool = False) -> None:
        """Measure workers of what is handed off."""
        url = self._database()
        ledger, app = SqlLedger(url), task_app(url)
        await ledger.open()
        async with app.open_async():
            put = _fired(hand_off(once(ledger, catch_up=READY)(empty), app))
            if meanwhile:
                await self._work("hand_off", url, workers, concurrency, put)
            else:
                meter = self._meter()
                await all_at(put, self._count, DEFERS_AT_ONCE)
                if workers == 1:
                    meter.show("defer", self._count)
                await self._work("hand_off", url, workers, concurrency)
        await ledger.close()

    async def _work(
        self,
        system: str,
        url: str,
        workers: int,
        concurrency: int,
        put: Callable[[int], Awaitable[object]] | None = None,
    ) -> None:
        """Let workers empty the queue, and print what a tenth to nine tenths of it have cost."""
        command = [sys.executable, __file__, "--serve", system, "--concurrency", str(concurrency)]
        environment = os.environ | {"DATABASE_URL": url}
        processes = [
            spawn(command, ends_by=signal.SIGKILL, env=environment, stderr=subprocess.DEVNULL)
            for _ in range(workers)
        ]
        what, python = f"{system}, {workers} x {concurrency}", [each.pid for each in processes]
        putting = None
        if put is not None:
            what, python = f"{what}, deferred meanwhile", [*python, os.getpid()]
            await asyncio.sleep(2)  # the workers start
            putting = asyncio.create_task(all_at(put, self._count, DEFERS_AT_ONCE))
        done = ENDED if system == "hand_off" else f"SELECT {self._count} - ({LEFT})"
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            first = await _until(connection, done, self._count // 10)
            meter = self._meter(python)
            last = await _until(connection, done, self._count * 9 // 10)
            meter.show(what, last - first)
        if putting is not None:
            await putting
        for process in processes:
            process.kill()
            process.wait()


def _fired(job: Callable[[], Awaitable[object]]) -> Callable[[int], Awaitable[object]]:
    """Return a function that runs a job as a scheduler does."""
    moment = datetime.now(UTC).replace(microsecond=0)

    async def fire(number: int) -> None:
        RUNNING.set((str(number % JOBS), moment - timedelta(seconds=number // JOBS), False))
        await job()

    return lambda number: asyncio.create_task(fire(number))


async def _until(connection: psycopg.AsyncConnection[Any], done: str, count: int) -> int:
    """Wait until so many are done; return how many are."""
    while True:
        (found,) = await (await connection.execute(done)).fetchone() or (0,)
        if found >= count:
            return int(found)
        await asyncio.sleep(0.05)


async def main(options: argparse.Namespace) -> None:
    """Measure, and print."""
    print(f"{'':42}{'a second':>8}{'Python':>9}{'PostgreSQL':>12}{'cores':>7}", flush=True)
    with EmbeddedServer(Postgres()) as server:
        bench = Bench(server, options.count)
        await bench.claims()
        for concurrency in options.concurrency:
            for workers in options.workers:
                await bench.procrastinate(workers, concurrency)
            for workers in options.workers:
                await bench.handed_off(workers, concurrency)
            await bench.handed_off(max(options.workers), concurrency, meanwhile=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=3_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8])
    parser.add_argument("--serve")
    given = parser.parse_args()
    if given.count < 1 or given.count % 100:
        parser.error("--count: a multiple of 100, as tasks are put into the queue by the hundred")
    if given.serve:
        asyncio.run(serve(given.serve, os.environ["DATABASE_URL"], given.concurrency[0]))
    else:
        asyncio.run(main(given))
