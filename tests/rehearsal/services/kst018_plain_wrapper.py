"""A decorator for plain functions over a coroutine.

target: scheduler
nodes: 1
finds: KST018 nightly
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

if TYPE_CHECKING:
    from collections.abc import Callable

scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})
logger = logging.getLogger(__name__)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that logs its runs."""

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        logger.info("%s begins", function.__name__)
        return function(*arguments)  # the fault

    return run


@scheduler.scheduled_job("cron", hour=3, id="nightly")
@logged
async def crawl() -> None:
    """Do the work."""
