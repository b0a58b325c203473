"""A decorator that lets a slow plain function be a coroutine, and not by a thread.

target: scheduler
nodes: 1
finds: KST010 nightly
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

if TYPE_CHECKING:
    from collections.abc import Callable

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})


def as_coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a coroutine function."""

    @functools.wraps(function)
    async def run(*arguments: Any) -> Any:
        return function(*arguments)

    return run


@scheduler.scheduled_job("cron", hour=3, id="nightly")
@as_coroutine
def crawl() -> None:
    """Do the work."""
    time.sleep(600)  # the fault
