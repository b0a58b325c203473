"""A plain function around a coroutine function, a cure for a blocking call, and every weekday.

target: make
nodes: 1
finds: none
"""

from __future__ import annotations

import asyncio
import functools
import time
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

SEOUL = "Asia/Seoul"


def in_a_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function."""

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        return asyncio.run(function(*arguments))

    return run


@in_a_loop
async def crawl() -> None:
    """Do the work."""


async def parse() -> None:
    """Do it in a thread."""
    await asyncio.to_thread(lambda: time.sleep(5))


class Report:
    """A job that is an object."""

    def __call__(self) -> None:
        """Do the work."""


def make() -> AsyncIOScheduler:
    """Return the scheduler."""
    scheduler = AsyncIOScheduler(timezone=SEOUL, job_defaults={"misfire_grace_time": 300})
    scheduler.add_job(crawl, "cron", hour=3)
    scheduler.add_job(parse, "cron", hour=4)
    scheduler.add_job(Report(), CronTrigger.from_crontab("30 18 * * 0-6", timezone=SEOUL))
    fixed = timezone(timedelta(hours=9))
    scheduler.add_job(Report(), CronTrigger(day=1, day_of_week="mon-sun", hour=5, timezone=fixed))
    return scheduler
