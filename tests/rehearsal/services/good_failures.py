"""Jobs that catch every error, and fail in the end.

target: add_jobs
nights: 2
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from typing import TYPE_CHECKING, Any

from kst_scheduler import cron, once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


async def fetch(page: int = 0) -> int:
    """Do a part of the work."""
    return page


async def writes_a_row() -> None:
    """Write how it ended, and raise what it raised."""
    error: Exception | None = None
    try:
        await fetch()
    except Exception as caught:  # noqa: BLE001
        error = caught
    logger.info("ended with %r", error)
    if error is not None:
        raise error


async def tries_again() -> int:
    """Try three times."""
    last: Exception | None = None
    while True:
        if last is not None and str(last) == "3":
            raise last
        try:
            return await fetch()
        except Exception as error:  # noqa: BLE001
            last = error
            await asyncio.sleep(1)


async def until_it_succeeds() -> None:
    """Try until it succeeds."""
    while True:
        try:
            await fetch()
            break
        except Exception:  # noqa: BLE001
            await asyncio.sleep(60)


async def counts() -> None:
    """Crawl all pages, and fail if one has failed."""
    failed = 0
    for page in range(3):
        try:
            await fetch(page)
        except Exception:  # noqa: BLE001
            failed += 1
    if failed:
        sys.exit(1)


async def leaves() -> None:
    """End the run with an error."""
    try:
        await fetch()
    except Exception:
        logger.exception("the crawl failed")
        sys.exit(1)


async def cleans() -> None:
    """Hide what fails in the cleaning alone."""
    try:
        await fetch()
    finally:
        try:
            await fetch(1)
        except Exception:
            logger.exception("not cleaned")


def alerted(job: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
    """Return a job that tells of its failure."""

    @functools.wraps(job)
    async def run() -> object:
        try:
            return await job()
        except Exception:
            await alert()
            raise

    return run


async def alert() -> None:
    """Send a message; that it cannot be sent is no failure of the job."""
    try:
        await fetch()
    except Exception:
        logger.exception("no alert")


def add_jobs(service: Any) -> None:
    """Add the jobs."""
    jobs = (writes_a_row, tries_again, until_it_succeeds, counts, leaves, cleans, alerted(fetch))
    for hour, job in enumerate(jobs):
        service.scheduler.add_job(once(service.ledger)(job), cron(hour=hour), id=f"job-{hour}")
