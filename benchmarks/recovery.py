"""What five faults cost a queue: plain Procrastinate and ``hand_off``, side by side.

Purpose: each system has a database of its own on one real PostgreSQL, two worker processes, and the
same offered load. Before the fault, during it and after it, every run writes when it began and when
it ended to a file that knows nothing of queues. The five faults are those of the public comparison
hardbyte/postgresql-job-queue-benchmarking, three of them harder than there:
  - restart: PostgreSQL is killed (kill -9), and is back when the fault is over;
  - backends: twice a second ``pg_terminate_backend`` ends all sessions of the system (there: only
    those that are at a statement);
  - kills: a worker is killed (kill -9) every two seconds, and started again a second later;
  - crash: all workers are killed at once, and started again when the fault is over (there: one);
  - pool: idle sessions take all connections that PostgreSQL still has (there: 300 of 400).
Printed are
  - before, after: the median of the runs that ended in a second, and their ratio. What had to wait
    is caught up, so it can be more than 100 %;
  - recovered: seconds from the end of the fault to the end of the first second in which 90 % of the
    former rate ended; "never" within what was watched;
  - refused: putting it into the queue raised an error;
  - lost: was taken into the queue, and had not ended 15 seconds after the last one was put there;
  - doubled: ended more than once. In parentheses: those whose process was killed after the work
    had ended and before that was recorded. No queue can avoid these (the row says "attempt 2").
Plain Procrastinate is what its documentation shows: ``defer_async``, ``run_worker_async``, and a
periodic task that retries stalled jobs. With ``--supervised`` a worker that ended by itself is
started again a second later, as systemd does.
Limits: PostgreSQL, workers and load share the cores of one machine. To keep a run short, a worker
counts as dead after 3 s, not 30 s, and a lease is 3 s, not 60 s. Each occurrence is of a job of its
own, as two runs of one job do not overlap.
Run: ``uv run python benchmarks/recovery.py`` (six minutes), with a fault's name for that alone
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import procrastinate
import psycopg

from kst_scheduler.distributed import hand_off, task_app, work
from kst_scheduler.distributed.worker import SECONDS_BETWEEN_LOOKS
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import RUNNING, current_occurrence
from kst_scheduler.servers.child import spawn
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Awaitable, Callable

    Put = Callable[[int], Awaitable[object]]

WORKERS, CONCURRENCY = 2, 8
SECONDS_OF_WORK = 0.01
STALLED = timedelta(seconds=3)
"""How long a worker may be silent before its tasks are given to others; also the lease."""
SECONDS_TO_START = 3.0
SECONDS_TO_END = 15.0
"""How long after the last occurrence all must have ended."""
SECONDS_TO_END_AGAIN = 5 / 3 * STALLED.total_seconds() + SECONDS_BETWEEN_LOOKS + 1.0
"""How long after the last end a second one may come: a worker counts as dead after STALLED, others
look for dead ones every third of it and leave out the look after an outage, the task that waits
again is fetched at the next look for tasks, and its work takes less than a second."""
RECOVERED = 0.9
BEFORE_IT_IS_RECORDED = 0.1
"""Within how many seconds after its end a run is recorded, on a busy machine."""
MOMENT = datetime(2026, 11, 30, tzinfo=UTC)


@dataclass
class Journal:
    """The journal: one line for each event, appended by all processes to one file."""

    path: Path
    file: int = field(init=False)

    def __post_init__(self) -> None:
        self.file = os.open(self.path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def note(self, event: str, number: int) -> None:
        """Write that a run began or ended."""
        os.write(self.file, f"{event} {number} {os.getpid()} {time.time()}\n".encode())

    def ends(self) -> list[tuple[int, int, float]]:
        """Return number, process and time of each end."""
        lines = (line.split() for line in self.path.read_text().splitlines())
        return [(int(n), int(pid), float(at)) for event, n, pid, at in lines if event == "end"]


async def do_work(journal: Journal, number: int) -> None:
    """Do what both systems do."""
    await asyncio.sleep(SECONDS_OF_WORK)
    journal.note("end", number)


class Plain:
    """Procrastinate, as its documentation shows it."""

    name = "procrastinate"

    def __init__(self, url: str, journal: Journal) -> None:
        self.app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
        app = self.app

        @app.task(queue="jobs", name="job")
        async def job(number: int) -> None:
            await do_work(journal, number)

        # docs/howto/production/retry_stalled_jobs.md, but every second and not every ten minutes
        @app.periodic(cron="* * * * * *")
        @app.task(queue="jobs", name="retry_stalled", queueing_lock="retry_stalled")
        async def retry_stalled(timestamp: int) -> None:  # noqa: ARG001 - as Procrastinate calls it
            seconds = STALLED.total_seconds()
            for stalled in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
                await app.job_manager.retry_job(stalled)

        self.job = job

    @contextlib.asynccontextmanager
    async def producer(self) -> AsyncIterator[Put]:
        """Yield what puts an occurrence into the queue."""
        async with self.app.open_async():
            await self.app.schema_manager.apply_schema_async()
            yield lambda number: self.job.defer_async(number=number)

    async def serve(self, count: int) -> None:  # noqa: ARG002 - the other's
        """Be a worker."""
        seconds = STALLED.total_seconds()
        async with self.app.open_async():
            await self.app.run_worker_async(
                queues=["jobs"],
                concurrency=CONCURRENCY,
                fetch_job_polling_interval=SECONDS_BETWEEN_LOOKS,
                update_heartbeat_interval=seconds / 3,
                stalled_worker_timeout=seconds,
                delete_jobs="successful",
                install_signal_handlers=False,
            )


class HandedOff:
    """This package, on the same Procrastinate."""

    name = "hand_off"

    def __init__(self, url: str, journal: Journal) -> None:
        self.ledger, self.app = SqlLedger(url), task_app(url)

        async def job() -> None:
            await do_work(journal, int(current_occurrence().job_id))

        run = once(self.ledger, lease=STALLED, catch_up=timedelta(days=3650))
        self.handed = hand_off(run(job), self.app)

    @contextlib.asynccontextmanager
    async def producer(self) -> AsyncIterator[Put]:
        """Yield what puts an occurrence into the queue."""

        async def put(number: int) -> None:
            RUNNING.set((str(number), MOMENT, False))
            await self.handed()

        await self.ledger.open()
        async with self.app.open_async():
            yield put
        await self.ledger.close()

    async def serve(self, count: int) -> None:
        """Be a worker."""
        scheduler = KSTScheduler()
        await self.ledger.open()
        for number in range(count):
            scheduler.add_job(self.handed, cron(hour=3), id=str(number))
        await work(self.app, scheduler, concurrency=CONCURRENCY, stalled_after=STALLED)


SYSTEMS: dict[str, Callable[[str, Journal], Plain | HandedOff]] = {
    each.name: each for each in (Plain, HandedOff)
}


@dataclass
class Workers:
    """The worker processes of one system."""

    system: str
    url: str
    journal: Journal
    count: int
    supervised: bool
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    killed_at: dict[int, float] = field(default_factory=dict)

    def start(self, place: int) -> None:
        """Start a worker where there is none, or none any more."""
        command = [sys.executable, __file__, "--serve", self.system, "--count", str(self.count)]
        environment = os.environ | {"DATABASE_URL": self.url, "JOURNAL": str(self.journal.path)}
        with self.journal.path.with_suffix(".log").open("ab") as log:
            self.processes[place] = spawn(
                command, ends_by=signal.SIGKILL, env=environment, stdout=log, stderr=log
            )

    def kill(self, place: int) -> None:
        """Kill -9."""
        process = self.processes[place]
        if process.poll() is None:
            self.killed_at[process.pid] = time.time()
            process.kill()
        process.wait()

    async def supervise(self) -> None:
        """Start what ended by itself again, as systemd does."""
        while True:
            await asyncio.sleep(1)
            for place, process in list(self.processes.items()):
                ended = process.poll() is not None
                if self.supervised and ended and process.pid not in self.killed_at:
                    self.start(place)

    def all_ended(self) -> bool:
        """Return whether there is no worker any more, and none to come."""
        return not self.supervised and all(
            process.poll() is not None for process in self.processes.values()
        )


@dataclass
class Scene:
    """What a fault needs: the server, the system's database and its workers."""

    server: EmbeddedServer
    database: str
    workers: Workers
    seconds: float
    """How long the fault lasts."""

    async def restart(self) -> None:
        """Kill PostgreSQL, and bring it back."""
        await asyncio.to_thread(self.server.kill)
        await asyncio.sleep(self.seconds)
        await asyncio.to_thread(self.server.restart)

    async def backends(self) -> None:
        """End all sessions, twice a second."""
        statement = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = %s AND pid <> pg_backend_pid()"
        )
        async with await connect(self.server.url) as connection:
            for _ in range(round(2 * self.seconds)):
                await connection.execute(statement, [self.database])
                await asyncio.sleep(0.5)

    async def kills(self) -> None:
        """Kill one worker again and again; another one is left alone."""
        for _ in range(max(1, round(self.seconds / 2))):
            self.workers.kill(0)
            await asyncio.sleep(1)
            self.workers.start(0)
            await asyncio.sleep(1)

    async def crash(self) -> None:
        """Kill all workers, and begin again."""
        for place in self.workers.processes:
            self.workers.kill(place)
        await asyncio.sleep(self.seconds)
        for place in list(self.workers.processes):
            self.workers.start(place)

    async def pool(self) -> None:
        """Take what connections PostgreSQL has left."""
        async with contextlib.AsyncExitStack() as stack:
            with contextlib.suppress(psycopg.OperationalError):  # there are no more
                while True:
                    await stack.enter_async_context(await connect(self.server.url))
            await asyncio.sleep(self.seconds)


FAULTS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "restart": Scene.restart,
    "backends": Scene.backends,
    "kills": Scene.kills,
    "crash": Scene.crash,
    "pool": Scene.pool,
}


async def connect(url: str) -> psycopg.AsyncConnection[Any]:
    """Return a session past all pools."""
    return await psycopg.AsyncConnection.connect(url, autocommit=True)


@dataclass
class Load:
    """Puts occurrences into the queue, as many a second, without waiting for earlier ones."""

    put: Put
    rate: float
    count: int
    taken: set[int] = field(default_factory=set)
    refused: int = 0

    async def offer(self) -> None:
        """Offer all; return when each is taken or refused."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(self.count):
                await asyncio.sleep(max(0.0, began + number / self.rate - loop.time()))
                group.create_task(self._offer(number))

    async def _offer(self, number: int) -> None:
        try:
            await self.put(number)
        except (procrastinate.exceptions.ConnectorException, LedgerUnavailableError):
            self.refused += 1
        else:
            self.taken.add(number)


@dataclass
class Result:
    """What a fault did to a system."""

    before: float
    after: float
    recovered: float | None
    refused: int
    lost: int
    doubled: int
    cut: int

    def __str__(self) -> str:
        ratio = self.after / self.before if self.before else 0.0
        seconds = "never" if self.recovered is None else f"{self.recovered:.0f} s"
        return (
            f"{self.before:6.0f} {self.after:6.0f} {ratio:6.0%} {seconds:>9} "
            f"{self.refused:7} {self.lost:6} {self.doubled:7} ({self.cut})"
        )


@dataclass
class Spans:
    """How many seconds each part of a round lasts."""

    before: float
    fault: float
    after: float

    @property
    def total(self) -> float:
        """The whole round."""
        return self.before + self.fault + self.after


def rates(ends: list[tuple[int, int, float]], since: float, seconds: float) -> list[int]:
    """Return how many runs ended in each second."""
    counted = Counter(int(at - since) for _, _, at in ends if at >= since)
    return [counted[second] for second in range(int(seconds))]


def result(
    ends: list[tuple[int, int, float]],
    load: Load,
    workers: Workers,
    spans: Spans,
    began: float,
    over: float,
) -> Result:
    """Return what the journal says."""
    before = statistics.median(rates(ends, began, spans.before))
    if not before:
        raise SystemExit("no run has ended before the fault, so there is no rate to come back to")
    after = rates(ends, over, spans.after)
    good = (
        second + 1
        for second, count in enumerate(after)
        if min(count, statistics.median(after[second:])) >= RECOVERED * before  # and it lasts
    )
    by_number = defaultdict(list)
    for number, pid, at in ends:
        by_number[number].append((at, pid))
    doubled = cut = 0
    for each in by_number.values():
        repeated = sorted(each)[:-1]
        are_cut = [
            0 <= workers.killed_at.get(pid, 0.0) - at < BEFORE_IT_IS_RECORDED
            for at, pid in repeated
        ]
        cut += bool(repeated) and all(are_cut)
        doubled += not all(are_cut)
    return Result(
        before,
        statistics.median(after),
        next(good, None),
        load.refused,
        len(load.taken - set(by_number)),
        doubled,
        cut,
    )


async def until_ended(load: Load, journal: Journal, workers: Workers) -> None:
    """Wait until all that was taken has ended, or as long as that may take."""
    give_up_at = time.monotonic() + SECONDS_TO_END
    while time.monotonic() < give_up_at and not workers.all_ended():
        if load.taken <= {number for number, _, _ in journal.ends()}:
            await asyncio.sleep(SECONDS_TO_END_AGAIN)
            return
        await asyncio.sleep(0.5)


@dataclass
class Bench:
    """What all rounds have in common."""

    server: EmbeddedServer
    folder: Path
    spans: Spans
    rate: float
    supervised: bool

    async def round_of(self, system: str, fault: str) -> Result:
        """Run one system through one fault."""
        database = f"{system}_{fault}"
        async with await connect(self.server.url) as connection:
            await connection.execute(f"CREATE DATABASE {database}")
        url = self.server.url.removesuffix("postgres") + database
        journal = Journal(self.folder / database)
        count = round(self.rate * self.spans.total)
        workers = Workers(system, url, journal, count, self.supervised)
        scene = Scene(self.server, database, workers, self.spans.fault)
        async with SYSTEMS[system](url, journal).producer() as put:
            return await self._watch(scene, FAULTS[fault], Load(put, self.rate, count))

    async def _watch(
        self, scene: Scene, fault: Callable[[Scene], Awaitable[None]], load: Load
    ) -> Result:
        workers = scene.workers
        for place in range(WORKERS):
            workers.start(place)
        await asyncio.sleep(SECONDS_TO_START)
        supervisor = asyncio.create_task(workers.supervise())
        began, offering = time.time(), asyncio.create_task(load.offer())
        await asyncio.sleep(self.spans.before)
        await fault(scene)
        over = time.time()
        await asyncio.sleep(self.spans.after)
        await offering
        await until_ended(load, workers.journal, workers)
        supervisor.cancel()
        for place in workers.processes:
            workers.kill(place)
        return result(workers.journal.ends(), load, workers, self.spans, began, over)


async def main(options: argparse.Namespace) -> None:
    """Measure, and print."""
    print(f"{options.rate:g} occurrences a second, {WORKERS} workers of {CONCURRENCY}")
    print(f"{'':25}before  after  ratio recovered refused   lost doubled (cut)", flush=True)
    with EmbeddedServer(Postgres()) as server, tempfile.TemporaryDirectory() as folder:
        spans = Spans(options.before, options.fault_seconds, options.after)
        place = Path(options.keep or folder)
        bench = Bench(server, place, spans, options.rate, options.supervised)
        for fault in options.faults or FAULTS:
            for system in options.system or SYSTEMS:
                print(f"{fault:10}{system:15}{await bench.round_of(system, fault)}", flush=True)


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="*", choices=[*FAULTS, []])
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--before", type=float, default=4)
    parser.add_argument("--fault-seconds", type=float, default=4)
    parser.add_argument("--after", type=float, default=8)
    parser.add_argument("--supervised", action="store_true")
    parser.add_argument("--system", action="append", choices=SYSTEMS)
    parser.add_argument("--keep", help="a folder that keeps the journals and the workers' logs")
    parser.add_argument("--serve", choices=SYSTEMS)
    parser.add_argument("--count", type=int)
    asked = parser.parse_args()
    if min(asked.before, asked.after) < 1:
        parser.error("--before and --after: at least a second, as rates are counted a second")
    return asked


if __name__ == "__main__":
    given = parse()
    if given.serve:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
        place = Journal(Path(os.environ["JOURNAL"]))
        serving = SYSTEMS[given.serve](os.environ["DATABASE_URL"], place)
        asyncio.run(serving.serve(given.count))
    else:
        asyncio.run(main(given))
