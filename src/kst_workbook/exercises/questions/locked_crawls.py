"""Crawls of three replicas under one lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import LockError, LockNotOwnedError

from kst_scheduler.errors import LockedOutError
from kst_scheduler.simulation.redis_server import SimulatedRedis

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kst_workbook.exercises.crawl_nights import Night, Played


def under_a_lock(night: Night, hours: str, **options: Any) -> Played:
    """Play a night in which the crawl is under redis-py's own lock, one that is busy no error."""
    server = SimulatedRedis()

    async def job(crawl: Callable[[], Awaitable[int]]) -> None:
        lock = server.client().lock("lock:daily-nps-crawl", **options)
        if not await lock.acquire():
            raise LockedOutError("the lock is held by another run")
        await crawl()
        try:
            await lock.release()
        except LockNotOwnedError as error:
            raise LockError("the lock had run out") from error

    return night.play(
        lambda scheduler, crawl: scheduler.add_job(
            job, "cron", hour=hours, args=[crawl], id="daily-nps-crawl"
        )
    )
