"""The lesson's scheduler and job on hosts in several zones."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytz
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.simulation import simulate
from kst_workbook.exercises.serving import CRAWL, JOB

if TYPE_CHECKING:
    from collections.abc import Callable

Span = tuple[datetime, datetime]


def on_hosts(
    register: Callable[[AsyncIOScheduler], object], hosts: tuple[str, ...], span: Span
) -> pd.DataFrame:
    """Return the crawls on a host in each zone, which take the zone's name for the job's."""
    tables = []
    for host in hosts:
        runs = simulate(register, *span, scheduler=lesson_scheduler, host_timezone=host).runs
        crawls = (runs["job_id"] == JOB) | (runs["finished_at"] - runs["started_at"] >= CRAWL)
        tables.append(runs[crawls].assign(node="", job_id=host))
    return pd.concat(tables)


def lesson_scheduler() -> AsyncIOScheduler:
    """Make a scheduler as the lesson does."""
    return AsyncIOScheduler(timezone=pytz.timezone("Asia/Seoul"))


def listed(names: Any) -> str:
    """Return names as a message lists them."""
    return ", ".join(f"`{name}`" for name in names) or "none"
