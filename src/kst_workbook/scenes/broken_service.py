"""A service with eight faults, for notebook 10, and the small world that it works on.

The world is simulated: an outside world counts what really happened, whatever the scheduler's log
says of it. ``service_week`` runs a service through a week there, and says what is wrong with it.
"""

# register() is shown in the notebook as it stands, faults and all; so what is said of it is here.
# ruff: noqa: BLE001, PLW0108
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.errors import SimulationError
from kst_scheduler.simulation import current_node
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.timezone import KST, in_milliseconds, kst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from redis.asyncio import Redis

CRAWL_SECONDS: Final = 6 * 60
COPY_SECONDS: Final = 3 * 60
NPS_IS_AWAY: Final = kst(2026, 5, 5).date()
"""The day on which every crawl fails, half a minute after it began."""

logger = logging.getLogger("kst_workbook")


def register(scheduler: AsyncIOScheduler) -> None:
    """Add the four jobs of the service: this is the code to repair."""

    @scheduler.scheduled_job(CronTrigger(hour=3, minute=0), id="daily-nps-crawl")
    async def daily_crawl() -> None:
        redis = shared_redis()
        if not await redis.set("lock:daily-nps-crawl", "taken", nx=True):
            return  # another replica crawls
        try:
            await crawl_nps()
        except Exception as error:
            logger.info("no crawl tonight: %s", error)
        finally:
            await redis.delete("lock:daily-nps-crawl")

    @scheduler.scheduled_job("cron", hour=6, second=0, id="morning-report")
    async def morning_report() -> None:
        await send_report()

    @scheduler.scheduled_job("interval", hours=8, id="backup")
    async def backup() -> None:
        copy_database()

    scheduler.add_job(lambda: renew_token(), "cron", minute=30, id="hourly-token")


async def crawl_nps() -> None:
    """Crawl the workplaces of the National Pension Service, in 6 minutes.

    Raises:
        ConnectionError: on NPS_IS_AWAY.

    """
    _note("crawl begun")
    if datetime.now(KST).date() == NPS_IS_AWAY:
        await asyncio.sleep(30)
        _note("crawl failed")
        raise ConnectionError("the NPS answers 503 Service Unavailable")
    await asyncio.sleep(CRAWL_SECONDS)
    _note("crawl ended")


async def send_report() -> None:
    """Send the morning report to its readers, in a second."""
    await asyncio.sleep(1)
    _note("report sent")


def copy_database() -> None:
    """Copy the database in 3 minutes, by a library that knows nothing of asyncio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _note("copied in a thread")
    else:
        _note("copied on the event loop")
    time.sleep(COPY_SECONDS)


async def renew_token() -> None:
    """Renew the token with which the other services ask."""
    _note("token renewed")


def shared_redis() -> Redis:
    """Return redis-py's client of the Redis that all replicas share."""
    return _outside_world().redis.client()


@dataclass(frozen=True)
class Event:
    """Something that really happened."""

    at: datetime
    node: str
    what: str


@dataclass(eq=False)
class OutsideWorld:
    """The world outside the service: its Redis, and what happened."""

    redis: SimulatedRedis = field(default_factory=SimulatedRedis)
    events: list[Event] = field(default_factory=list)

    def when(self, what: str) -> list[datetime]:
        """Return the moments at which something happened, on whatever node."""
        return [event.at for event in self.events if event.what == what]

    @contextlib.contextmanager
    def open(self) -> Iterator[OutsideWorld]:
        """Let the functions of this module work here, in the block."""
        _open_worlds.append(self)
        try:
            yield self
        finally:
            _open_worlds.remove(self)


_open_worlds: list[OutsideWorld] = []


def _outside_world() -> OutsideWorld:
    if not _open_worlds:
        raise SimulationError(
            "this function works in a simulated week only; "
            'write check("10.3", register), or service_week.one_week(register)'
        )
    return _open_worlds[-1]


def _note(what: str) -> None:
    _outside_world().events.append(Event(in_milliseconds(datetime.now(KST)), current_node(), what))
