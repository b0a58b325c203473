"""Methods, inner functions and lambdas that have a name in common with others.

target: scheduler
nodes: 1
finds: none
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


class Source:
    """Has a method of which each object is a job."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def crawl(self) -> None:
        """Do the work."""


class Other:
    """Is no job."""

    async def crawl(self) -> None:
        """Block the loop, and hide what it raises."""
        try:
            time.sleep(60)  # noqa: ASYNC251
        except Exception:  # noqa: BLE001
            self.failed = True

    async def parse(self) -> None:
        """Do the work."""


def parse() -> None:
    """Do the work."""


def job_for(name: str) -> Callable[[], Awaitable[None]]:
    """Return a job of a source."""

    async def crawl() -> None:
        print(name)  # noqa: T201

    return crawl


def through(function: Callable[[], object]) -> object:
    """Return what a function returns."""
    return function()


async def fetch() -> None:
    """Do a part of the work."""


async def awaits() -> None:
    """Await what another function returns, in two ways."""
    await begin()
    await fetch()


def begin() -> Awaitable[None]:
    """Return what is awaited."""
    return fetch()


for source in (Source("nps"), Source("krx")):
    scheduler.add_job(source.crawl, "cron", hour=3, id=source.name)
    scheduler.add_job(job_for(source.name), "cron", hour=3, id=f"inner-{source.name}")
scheduler.add_job(lambda: parse(), "cron", hour=4, id="lambda")  # noqa: PLW0108
scheduler.add_job(lambda: through(parse), "cron", hour=4, id="through")
for user in ("kim", "lee"):
    scheduler.add_job(lambda user=user: user.upper(), "cron", hour=5, id=user)
scheduler.add_job(awaits, "cron", hour=4, id="awaits")
