"""One replica: five jobs a second, on the ledger and behind the lock that all replicas share.

Started by real_cluster.py as ``python real_node.py NAME JOURNAL``, with DATABASE_URL, REDIS_URL and
perhaps SECONDS_BETWEEN_FIRES in its environment. With QUEUED_JOBS there are so many more jobs that
are handed off; a node whose name begins with W is a worker, and runs those. The journal is a file
to which every run writes a line when it begins and when it has done its work: a witness that knows
nothing of ledgers.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import redis.asyncio

from kst_scheduler import KSTScheduler, current_occurrence, every
from kst_scheduler.distributed import hand_off, task_app, work
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.once.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from procrastinate import App

    from kst_scheduler.once.decorator import OnceFunction

JOBS = 5
WORK_SECONDS = 0.25
LEASE = timedelta(seconds=2)
CATCH_UP = timedelta(seconds=float(os.environ.get("CATCH_UP_SECONDS", "20")))
DELAY = timedelta(seconds=1)
QUEUED_JOBS = int(os.environ.get("QUEUED_JOBS", "0"))
CONCURRENCY = 2
"""How many occurrences a worker runs at once: eight a second, as each takes a quarter of one."""
STALLED_AFTER = timedelta(seconds=1.5)


class Journal:
    """The witness: one line an event, appended by all nodes to one file."""

    def __init__(self, path: str, node: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._node = node

    def note(self, event: str) -> None:
        """Write what the calling run is at; a short line to O_APPEND is written as a whole."""
        line = f"{event} {current_occurrence().key} {self._node} {time.time():.6f}\n"
        os.write(self._file, line.encode())


def job(journal: Journal) -> Callable[[], Coroutine[None, None, None]]:
    """Return a job that works for a quarter of a second."""

    async def crawl() -> None:
        journal.note("begin")
        await asyncio.sleep(WORK_SECONDS)
        journal.note("end")

    return crawl


def register(
    scheduler: AsyncIOScheduler,
    ledger: SqlLedger,
    client: redis.asyncio.Redis,
    app: App,
    node: str,
    journal: Journal,
) -> None:
    """Add five jobs, each due at every second, or at every so many, and those for the workers."""
    period = int(os.environ.get("SECONDS_BETWEEN_FIRES", "1"))
    for number in range(JOBS):
        name = f"job-{number}"
        decorate = once(
            ledger,
            functools.partial(redis_lock, f"lock:{name}", LEASE, client=client),
            lease=LEASE,
            catch_up=CATCH_UP,
            instance=node,
        )
        scheduler.add_job(decorate(job(journal)), every(seconds=period), id=name)
    for number in range(QUEUED_JOBS):
        queued: OnceFunction[[], None] = once(
            ledger, lease=LEASE, catch_up=CATCH_UP, instance=node
        )(job(journal))
        scheduler.add_job(hand_off(queued, app), every(seconds=period), id=f"queued-{number}")


async def keep_looking(reconciler: Reconciler) -> None:
    """Look every second in place of every minute: a test has no minutes."""
    while True:
        with suppress(LedgerUnavailableError):
            await reconciler.reconcile()
        await asyncio.sleep(1)


async def schedule(
    scheduler: KSTScheduler, ledger: SqlLedger, started: Callable[[], object]
) -> None:
    """Run the jobs, and see to what was missed, until cancelled."""
    reconciler = Reconciler(scheduler, ledger, delay=DELAY)
    scheduler.start()
    started()
    try:
        await keep_looking(reconciler)
    finally:
        await reconciler.stop()
        await scheduler.drain(timeout=10)


async def take(scheduler: KSTScheduler, app: App, started: Callable[[], object]) -> None:
    """Run what was handed off, until cancelled."""
    started()
    await work(app, scheduler, concurrency=CONCURRENCY, stalled_after=STALLED_AFTER)


async def main(node: str, path: str) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    url, started = os.environ["DATABASE_URL"], Path(path).with_name(f"{node}.up").touch
    ledger, app, scheduler = SqlLedger(url), task_app(url), KSTScheduler()
    await ledger.open()
    if QUEUED_JOBS:
        await app.open_async()
    async with redis.asyncio.Redis.from_url(os.environ["REDIS_URL"]) as client:
        register(scheduler, ledger, client, app, node, Journal(path, node))
        is_worker = node.startswith("W")
        role = take(scheduler, app, started) if is_worker else schedule(scheduler, ledger, started)
        running = asyncio.create_task(role)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    if QUEUED_JOBS:
        await app.close_async()
    await ledger.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(main(*sys.argv[1:]))
