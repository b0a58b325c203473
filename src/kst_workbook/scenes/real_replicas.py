"""The repaired service as processes of the operating system, at an accelerated schedule.

A night lasts two seconds: the crawl is due every two, and takes a tenth of one. Leases and looks
are as much shorter. Everything else is as in the simulated month, and the servers are real ones.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from redis.asyncio import Redis

from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.servers.child import spawn
from kst_scheduler.triggers.factories import every
from kst_workbook.scenes.noted_runs import note_run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

CRAWL: Final = "daily-nps-crawl"
"""As in the simulated month, whose module takes a second to load and is not needed for more."""
NIGHT: Final = every(seconds=2)
"""When the crawl is due."""
LEASE: Final = timedelta(seconds=1.2)
"""How long a replica that was killed keeps its row, and its lock."""
CATCH_UP: Final = timedelta(seconds=10)
LOOK_SECONDS: Final = 0.25
"""From one look of the Reconciler to the next."""

_SECONDS_KEPT: Final = 60
"""How long keys outlive a replica, on a server that is not thrown away."""
_PATIENCE: Final = 60
_HANG: Final = "capstone:hang"


def start_replicas(
    names: Iterable[str], redis_url: str, database_url: str, file: str
) -> dict[str, subprocess.Popen[bytes]]:
    """Start a process for each name, and return at once; on Linux they end with this process.

    Each crawl that comes to its end appends its occurrence to ``file`` (``noted_runs`` reads it).
    """
    urls = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    Path(file).touch()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", __name__]
    return {
        name: spawn([*command, name, file], ends_by=signal.SIGKILL, env=os.environ | urls, **quiet)
        for name in names
    }


async def all_up(redis: Redis, names: Iterable[str]) -> None:
    """Return when each of the replicas has started its scheduler; TimeoutError after a minute."""
    keys = [_up(name) for name in names]
    async with asyncio.timeout(_PATIENCE):
        while await redis.exists(*keys) < len(keys):  # noqa: ASYNC110 - keys of other processes
            await asyncio.sleep(0.02)


async def hang_next(redis: Redis) -> None:
    """Let the next crawl hang for good, and return when it does; TimeoutError after a minute."""
    await redis.set(_HANG, "yes", ex=_SECONDS_KEPT)
    async with asyncio.timeout(_PATIENCE):
        while await redis.exists(_HANG):  # noqa: ASYNC110 - a key in another process
            await asyncio.sleep(0.02)


async def crawl(redis: Redis, file: str) -> None:
    """Take a tenth of a second and note the run; or hang, where ``hang_next`` asked for that."""
    if await redis.getdel(_HANG):
        await asyncio.sleep(3600)  # waits for an answer that never comes
    await asyncio.sleep(0.1)
    await note_run(file)


async def serve(name: str, file: str) -> None:
    """Run a replica until it is killed."""
    redis = Redis.from_url(os.environ["REDIS_URL"])
    ledger = SqlLedger(os.environ["DATABASE_URL"])
    await ledger.open()

    def lock() -> AbstractAsyncContextManager[None]:
        return redis_lock("lock:daily-nps-crawl", LEASE, client=redis)

    scheduler = KSTScheduler()
    job = once(ledger, lock, lease=LEASE, catch_up=CATCH_UP, instance=name)(crawl)
    scheduler.add_job(job, NIGHT, args=[redis, file], id=CRAWL)
    reconciler = Reconciler(scheduler, ledger, delay=timedelta(0))
    scheduler.start()
    await redis.set(_up(name), "yes", ex=_SECONDS_KEPT)
    while True:  # its own start() looks every minute, which is thirty nights here
        await reconciler.reconcile()
        await asyncio.sleep(LOOK_SECONDS)


def _up(name: str) -> str:
    return f"capstone:up:{name}"


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
