"""Small programs that the tests of the simulation run, and what they leave of the process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import apscheduler.job
import tzlocal
from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    import pandas as pd

NIGHT = kst(2026, 5, 10)
MORNING = NIGHT + timedelta(hours=6)


def plain_scheduler(**options: Any) -> AsyncIOScheduler:
    """Return the lesson's scheduler."""
    return AsyncIOScheduler(timezone=KST, **options)


async def nothing() -> None:
    """Do nothing, at once."""


def hourly(scheduler: AsyncIOScheduler) -> None:
    """Register one job that fires every hour and takes a second."""

    async def work() -> None:
        await asyncio.sleep(1)

    scheduler.add_job(work, "cron", minute=0, id="hourly")


def hours(runs: pd.DataFrame, status: str) -> list[int]:
    """Return the scheduled hours in KST of the rows with this status."""
    return list(runs.loc[runs["status"] == status, "scheduled_at"].dt.hour)


def surroundings() -> dict[str, Any]:
    """Return everything of the process that a simulation touches while it runs."""
    logger = logging.getLogger("apscheduler")
    return {
        "sleep": time.sleep,
        "monotonic": time.monotonic,
        "submit": ThreadPoolExecutor.submit,
        "new_event_loop": asyncio.new_event_loop,
        "get_next_fire_time": CronTrigger.get_next_fire_time,
        "get_run_times": Job._get_run_times,
        "uuid4": apscheduler.job.uuid4,
        "random": random.getstate(),
        "TZ": os.environ.get("TZ"),
        "tzname": time.tzname,
        "localzone": str(tzlocal.get_localzone()),
        "loop": asyncio._get_running_loop(),
        "sigint": signal.getsignal(signal.SIGINT),
        "hooks": sys.get_asyncgen_hooks(),
        "collected": gc.isenabled(),
        "frozen": gc.get_freeze_count() > 0,  # conftest.py of the whole repository has frozen some
        "disabled": logging.root.manager.disable,
        "handlers": list(logger.handlers),
        "propagate": logger.propagate,
        "level": logger.level,
    }
