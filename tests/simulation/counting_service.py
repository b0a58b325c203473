"""A service whose module keeps a list of its runs, and whose job fails at the fourth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kst_scheduler import cron

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

COUNT: list[int] = []


async def job() -> None:
    """Count a run of this process."""
    COUNT.append(1)
    if len(COUNT) > 3:
        raise ValueError("two processes share this module")


def register(scheduler: AsyncIOScheduler) -> None:
    """Add the job."""
    scheduler.add_job(job, cron(minute="*", second=0), id="job")
