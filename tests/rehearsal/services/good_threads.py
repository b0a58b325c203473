"""Blocking work that is handed to threads, in the ways that are usual.

target: scheduler
nodes: 1
finds: none
"""

from __future__ import annotations

import asyncio
import functools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

if TYPE_CHECKING:
    from collections.abc import Callable

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})
pool = ThreadPoolExecutor(2)


def in_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a coroutine function that runs a plain one in a thread."""

    @functools.wraps(function)
    async def run(*arguments: Any) -> Any:
        return await asyncio.to_thread(function, *arguments)

    return run


def download() -> None:
    """Do the work."""
    time.sleep(60)


@scheduler.scheduled_job("cron", hour=1)
@in_thread
def wrapped() -> None:
    """Do the work."""
    time.sleep(60)


@scheduler.scheduled_job("cron", hour=2)
async def by_pool() -> None:
    """Do the work."""
    await asyncio.get_running_loop().run_in_executor(pool, download)


@scheduler.scheduled_job("cron", hour=3)
async def by_lambda() -> None:
    """Do the work."""
    await asyncio.to_thread(lambda: download())  # noqa: PLW0108


@scheduler.scheduled_job("cron", hour=4)
def plain() -> None:
    """Do the work in the scheduler's own thread."""
    download()
