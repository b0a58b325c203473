"""Three schedulers, and two workers as processes, on one PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import real_worker
from in_loop import in_loop
from kst_scheduler.distributed import task_app
from kst_scheduler.ledger import LedgerRow, SqlLedger
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.timezone import KST
from real_cluster import wait_until
from real_worker import Journal, register

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from kst_scheduler.servers.embedded import EmbeddedServer

SECONDS = 30
"""For how long a condition is waited for."""


@dataclass
class Workers:
    """Two worker processes, their journal and their database."""

    url: str
    journal: Journal
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, node: str) -> None:
        """Start a worker process."""
        with self.journal.path.with_name(f"{node}.log").open("ab") as log:
            self.processes[node] = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, real_worker.__file__, node, self.journal.path],
                env=os.environ | {"DATABASE_URL": self.url},
                stderr=log,
            )

    def is_up(self, node: str) -> bool:
        """Return whether a worker takes tasks."""
        assert self.processes[node].poll() is None, self.log()
        return self.journal.path.with_name(f"{node}.up").exists()

    def log(self) -> str:
        """Return what the workers have logged."""
        return "".join(path.read_text() for path in self.journal.path.parent.glob("*.log"))


@pytest.fixture(scope="module")
def workers(
    _postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workers]:
    """Yield two workers that are up, on a database of their own."""
    with psycopg.connect(_postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE worked")
    folder = tmp_path_factory.mktemp("workers")
    journal = Journal(folder / "journal.txt", "witness")
    journal.path.touch()
    workers = Workers(_postgres.url.removesuffix("postgres") + "worked", journal)
    try:
        for node in ("W1", "W2"):
            workers.start(node)
        for node in ("W1", "W2"):
            wait_until(functools.partial(workers.is_up, node), f"worker {node}")
        yield workers
    finally:
        for process in workers.processes.values():
            process.kill()
            process.wait()


@dataclass
class Service:
    """What the schedulers of a test have in common."""

    ledger: SqlLedger
    url: str

    async def rows(self, prefix: str) -> list[LedgerRow]:
        """Return the rows of some jobs."""
        return [row for row in await self.ledger.rows() if row.source.startswith(prefix)]

    async def until_ended(self, prefix: str, count: int) -> list[LedgerRow]:
        """Return the rows of some jobs, once all have their end."""
        give_up_at = time.monotonic() + SECONDS
        while True:
            rows = await self.rows(prefix)
            ended = [row for row in rows if row.status != "running"]
            if len(ended) == len(rows) == count:
                return rows
            assert time.monotonic() < give_up_at, rows
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def schedulers(workers: Workers, due: dict[str, datetime]) -> AsyncIterator[Service]:
    """Run three schedulers with the same jobs, each with connections of its own."""
    async with contextlib.AsyncExitStack() as stack:
        ledger = SqlLedger(workers.url)
        await ledger.open()
        stack.push_async_callback(ledger.close)
        for _ in range(3):
            app = await stack.enter_async_context(task_app(workers.url).open_async())
            scheduler = KSTScheduler()
            register(scheduler, ledger, app, workers.journal, due)
            scheduler.start()
            stack.push_async_callback(scheduler.drain, 5)
        yield Service(ledger, workers.url)


def left_in_queue(workers: Workers) -> list[Any]:
    """Return what is in the table of tasks."""
    with psycopg.connect(workers.url) as connection:
        return connection.execute("SELECT * FROM procrastinate_jobs").fetchall()


@in_loop
async def test_three_replicas_two_workers_and_each_occurrence_once(workers: Workers) -> None:
    """One row that is ok, one run by the journal, and nothing left in the queue."""
    soon = datetime.now(KST).replace(microsecond=0) + timedelta(seconds=2)
    due = {f"quick-{n}": soon + timedelta(seconds=n % 2) for n in range(40)}
    async with schedulers(workers, due) as service:
        rows = await service.until_ended("quick", 40)
    assert {row.source: row.scheduled_at for row in rows} == {
        job_id: moment.replace(microsecond=0) for job_id, moment in due.items()
    }
    assert {(row.status, row.attempt, row.rows) for row in rows} == {("ok", 1, 7)}
    assert {row.instance for row in rows} == {"W1", "W2"}
    for event in ("begin", "end"):
        assert set(workers.journal.count(event).values()) == {1}
        assert len(workers.journal.count(event)) == 40
    wait_until(lambda: not left_in_queue(workers), "an empty queue")
    assert workers.log() == ""


@in_loop
async def test_a_killed_worker_s_run_is_taken_over(workers: Workers) -> None:
    """Kill -9 in the middle: noticed, and run again as attempt 2, once its lease is over."""
    due = {"slow-0": datetime.now(KST).replace(microsecond=0) + timedelta(seconds=2)}
    async with schedulers(workers, due) as service:

        def runs() -> list[list[str]]:
            return [line for line in workers.journal.lines() if line[1].startswith("slow")]

        async with asyncio.timeout(SECONDS):
            while not runs():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
        ((_, _, killed),) = runs()
        (row,) = await service.rows("slow")
        workers.processes[killed].send_signal(signal.SIGKILL)
        (taken,) = await service.until_ended("slow", 1)
    assert row.lease_until is not None
    assert taken.started_at is not None
    assert (taken.status, taken.attempt, taken.id) == ("ok", 2, row.id)
    assert taken.instance != killed
    assert taken.started_at > row.lease_until
    assert taken.error is not None
    assert taken.error.startswith(f"attempt 1 on {killed} lost its lease")
    events = [(event, node) for event, _, node in runs()]
    other = taken.instance
    assert events == [("begin", killed), ("begin", other), ("end", other)]
    wait_until(lambda: not left_in_queue(workers), "an empty queue")
    assert "waits again, as its worker is not heard of" in workers.log()
