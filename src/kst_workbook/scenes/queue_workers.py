"""Replicas that hand their jobs off, and workers that are processes of the operating system.

Both add their jobs by the same function, ``register``. A run is noted in a file, as what is written
outside of the ledger says how often a job really ran. What is accelerated: the lease of the long
crawl, and how soon a worker counts as dead.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_scheduler.distributed import hand_off, task_app, work
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.servers.child import spawn
from kst_scheduler.service.components import Service
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.factories import cron
from kst_scheduler.triggers.spread import spread
from kst_workbook.scenes.noted_runs import note_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kst_scheduler.ledger import LedgerRow

CRAWLS: Final = [f"crawl-{number:03}" for number in range(300)]
"""Each takes a hundredth of a second."""
PAGES: Final = [f"page-{number:02}" for number in range(16)]
"""Each waits a fifth of a second for an answer."""
LONG: Final = "long-crawl"
"""Its first run waits for an answer that never comes."""

LEASE: Final = timedelta(seconds=1)
"""How long a worker that was killed keeps the row of the long crawl."""
CONCURRENCY: Final = 2
"""How many occurrences a worker runs at once."""

_PATIENCE: Final = 60
_STALLED: Final = timedelta(seconds=1)
"""How long a worker is not heard of until its tasks are given to others."""


def register(service: Service, folder: str, name: str | None = None) -> None:
    """Add all jobs: each is due at three, on a second of its own, and handed off.

    The first of these times is half a day away or more: until then ``make_due`` makes them due.
    """
    add, tasks = service.scheduler.add_job, service.tasks
    short = once(service.ledger, instance=name)
    long = once(service.ledger, lease=LEASE, instance=name)
    jobs = {job_id: (short(crawl), [folder, 0.01]) for job_id in CRAWLS}
    jobs |= {job_id: (short(crawl), [folder, 0.2]) for job_id in PAGES}
    jobs[LONG] = long(crawl_or_hang), [folder, 0.2]
    later = datetime.now(KST) + timedelta(hours=12)
    for job_id, (job, args) in jobs.items():
        at_three = cron(hour=3, **spread(job_id, minutes=10), start_date=later)
        add(hand_off(job, tasks), at_three, args, id=job_id)


async def crawl(folder: str, seconds: float) -> None:
    """Wait for the answer, and note the run."""
    await asyncio.sleep(seconds)
    await note_run(runs_file(folder))


async def crawl_or_hang(folder: str, seconds: float) -> None:
    """Crawl; or hang for good, the first time."""
    try:
        Path(folder, "hung").touch(exist_ok=False)  # noqa: ASYNC240 - an empty file
    except FileExistsError:
        await crawl(folder, seconds)
    else:
        await asyncio.sleep(3600)  # waits for an answer that never comes


def runs_file(folder: str) -> str:
    """Return where the runs are noted; ``noted_runs`` reads it."""
    return str(Path(folder, "runs"))


async def open_replica(database_url: str, folder: str) -> Service:
    """Start a replica in this event loop, with connections of its own."""
    service = await _open(database_url)
    register(service, folder)
    service.scheduler.start()
    return service


async def close_replica(service: Service) -> None:
    """Stop a replica, and let go of its connections."""
    await service.scheduler.drain(5)
    if service.tasks is not None:
        await service.tasks.close_async()
    await service.ledger.close()


def make_due(replicas: Iterable[Service], job_ids: Iterable[str]) -> datetime:
    """Let jobs fire now in all replicas, for the same scheduled time, and return that.

    ``next_run_time`` is all that is changed: three o'clock is hours away.
    """
    due, job_ids = datetime.now(KST).replace(microsecond=0), list(job_ids)
    for replica in replicas:
        for job_id in job_ids:
            replica.scheduler.modify_job(job_id, next_run_time=due)
    return due


async def seconds_for_pages(replicas: Sequence[Service]) -> float:
    """Let all pages be due, and return the seconds from the first start to the last end.

    TimeoutError after a minute.
    """
    due, ledger = make_due(replicas, PAGES), replicas[0].ledger
    async with asyncio.timeout(_PATIENCE):
        while len(await ledger.rows(since=due, status="ok")) < len(PAGES):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    pages = await ledger.history(since=due)
    seconds: float = (pages["finished_at"].max() - pages["started_at"].min()).total_seconds()
    return seconds


async def row_of(service: Service, job_id: str, status: str) -> LedgerRow:
    """Return a job's row with this status when there is one; TimeoutError after a minute."""
    async with asyncio.timeout(_PATIENCE):
        while not (rows := await service.ledger.rows(job_id, status=status)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return rows[0]


def start_workers(
    names: Iterable[str], database_url: str, folder: str
) -> dict[str, subprocess.Popen[bytes]]:
    """Start a process for each name, and return at once; on Linux they end with this process.

    They begin to work when ``let_work`` says so: to load all that they need takes a second.
    """
    environment = os.environ | {"DATABASE_URL": database_url}  # a command line is public
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", __name__, folder]
    return {
        name: spawn([*command, name], ends_by=signal.SIGKILL, env=environment, **quiet)
        for name in names
    }


async def let_work(folder: str, *names: str) -> None:
    """Let these workers begin, and return when they have; TimeoutError after a minute."""
    for name in names:
        _sign(folder, "begin", name).touch()
    async with asyncio.timeout(_PATIENCE):
        for name in names:
            await _until_there(_sign(folder, "begun", name))


async def _work(folder: str, name: str) -> None:
    service = await _open(os.environ["DATABASE_URL"])
    register(service, folder, name)
    assert service.tasks is not None  # noqa: S101 - it was opened above
    await _until_there(_sign(folder, "begin", name))
    _sign(folder, "begun", name).touch()
    await work(service.tasks, service.scheduler, concurrency=CONCURRENCY, stalled_after=_STALLED)


async def _open(database_url: str) -> Service:
    ledger, tasks = SqlLedger(database_url), task_app(database_url)
    await ledger.open()
    await tasks.open_async()
    return Service(KSTScheduler(), ledger, None, tasks)


def _sign(folder: str, what: str, name: str) -> Path:
    return Path(folder, f"{what}-{name}")


async def _until_there(file: Path) -> None:
    while not file.exists():  # noqa: ASYNC110, ASYNC240 - a file of another process
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
