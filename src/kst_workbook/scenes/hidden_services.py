"""Two services of which notebook 10 shows only what they leave: a log, and a table of runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.simulation import Freeze, SimulationResult, simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from collections.abc import Callable

DUE: Final = datetime(2026, 5, 10, 18, 30, tzinfo=UTC)
"""When the job of the log was due, on hosts in UTC."""
LATE: Final = timedelta(minutes=6, seconds=40)
"""How late it was when the process continued."""
LOCK_TTL: Final = 720
"""Seconds after which the lock of the other service expires, renewed by nobody."""
CRAWL_MINUTES: Final = 40
NIGHT: Final = (kst(2026, 5, 10, 2, 55), kst(2026, 5, 10, 6, 55))

lesson_scheduler = partial(AsyncIOScheduler, timezone=KST)


async def crawl_nps() -> None:
    """Crawl, in 40 minutes."""
    await asyncio.sleep(CRAWL_MINUTES * 60)


def night_log(due: datetime = DUE, late: timedelta = LATE) -> str:
    """Return the one warning of a night in which a daily job was missed by ``late``.

    The job is due at this time of the day in the zone of ``due``. ``late`` is more than five
    minutes, and less than a day.
    """

    def register(scheduler: AsyncIOScheduler) -> None:
        trigger = CronTrigger(hour=due.hour, minute=due.minute, timezone=due.tzinfo)
        scheduler.add_job(crawl_nps, trigger, misfire_grace_time=300)

    paused = Freeze("A", due - timedelta(minutes=10), late + timedelta(minutes=10))
    span = due - timedelta(hours=1), due + late + timedelta(hours=1)
    night = simulate(register, *span, incidents=[paused], scheduler=lesson_scheduler)
    lines = night.log["message"]
    return str(lines[lines.str.contains("missed")].item())


def locked_night(ttl: float = LOCK_TTL) -> SimulationResult:
    """Run a night of three replicas whose crawls wait for one lock, which expires after ``ttl``."""
    return simulate(_waits_for_lock(ttl), *NIGHT, nodes=3)


def _waits_for_lock(ttl: float) -> Callable[[AsyncIOScheduler], None]:
    redis = SimulatedRedis()

    async def crawl_with_lock() -> None:
        async with redis.client().lock("lock:daily-nps-crawl", timeout=ttl, sleep=10):
            await crawl_nps()

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(crawl_with_lock, "cron", hour=3, id="daily-nps-crawl")

    return register
