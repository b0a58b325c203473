"""Replicas of a small service as processes of the operating system, to be killed in a notebook.

Each runs the same crawl every second, three times over: without a lock, under redis-py's lock that
waits, and once, under a lock and with a ledger.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from redis.asyncio import Redis

from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import current_occurrence
from kst_scheduler.servers.child import spawn
from kst_scheduler.triggers.factories import every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

NO_LOCK: Final = "no lock"
WAITS: Final = "waits"
ONCE: Final = "lock + ledger"
LEASE: Final = timedelta(seconds=1.5)
"""How long a replica that was killed keeps its row, and its lock."""

_SECONDS_KEPT: Final = 60
"""How long the counts outlive a replica, on a server that is not thrown away."""


def start_replicas(
    names: Iterable[str], redis_url: str, database_url: str
) -> dict[str, subprocess.Popen[bytes]]:
    """Start a process for each name, and return at once; on Linux they end with this process."""
    urls = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", __name__]
    return {
        # SIGTERM would let a crawl that hangs drain.
        name: spawn([*command, name], ends_by=signal.SIGKILL, env=os.environ | urls, **quiet)
        for name in names
    }


async def most_runs(redis: Redis) -> dict[str, int]:
    """Return how often each job ran an occurrence, at most."""
    counts = {job_id: await redis.hvals(_counts(job_id)) for job_id in (NO_LOCK, WAITS, ONCE)}
    return {job_id: max(map(int, found), default=0) for job_id, found in counts.items()}


async def hang_next(redis: Redis) -> None:
    """Let the next crawl that holds lock and row hang for good, and return when it does."""
    await redis.set(_hang(ONCE), "yes", ex=_SECONDS_KEPT)
    while await redis.exists(_hang(ONCE)):  # noqa: ASYNC110 - a key in another process
        await asyncio.sleep(0.02)


async def crawl(redis: Redis) -> None:
    """Count the run, and end; or hang, where ``hang_next`` asked for that."""
    occurrence = current_occurrence()
    counts = _counts(occurrence.job_id)
    await redis.hincrby(counts, occurrence.key)
    await redis.expire(counts, _SECONDS_KEPT)
    if await redis.getdel(_hang(occurrence.job_id)):
        await asyncio.sleep(3600)  # waits for an answer that never comes


async def serve(name: str) -> None:
    """Run a replica until it is killed."""
    redis = Redis.from_url(os.environ["REDIS_URL"])
    ledger = SqlLedger(os.environ["DATABASE_URL"])
    await ledger.open()

    async def in_turn(redis: Redis) -> None:
        async with redis.lock("lock:waits", timeout=LEASE.total_seconds()):
            await crawl(redis)

    def lock() -> AbstractAsyncContextManager[None]:
        return redis_lock("lock:crawl", LEASE, client=redis)

    crawl_once = once(ledger, lock, lease=LEASE, instance=name)(crawl)
    scheduler = KSTScheduler()
    jobs: dict[str, Callable[..., object]] = {NO_LOCK: crawl, WAITS: in_turn, ONCE: crawl_once}
    for job_id, job in jobs.items():
        scheduler.add_job(job, every(seconds=1), args=[redis], id=job_id)
    scheduler.start()
    await asyncio.Event().wait()


def _counts(job_id: str) -> str:
    return f"runs:{job_id}"


def _hang(job_id: str) -> str:
    return f"hang:{job_id}"


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
