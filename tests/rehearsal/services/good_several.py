"""Two schedulers in one process, one of them for what runs in threads; an async function starts it.

target: main
nodes: 1
finds: none
"""

from __future__ import annotations

import asyncio
import functools

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler

from kst_scheduler import KSTScheduler, cron

DEFAULTS = {"misfire_grace_time": 600}


async def crawl(source: str) -> None:
    """Do the work."""


def copy(table: str) -> None:
    """Do the work."""


async def main() -> None:
    """Start all of them."""
    loop = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults=DEFAULTS)
    for hour, source in enumerate(("nps", "krx")):
        loop.add_job(functools.partial(crawl, source), "cron", hour=hour, id=f"crawl-{source}")
    threads = BackgroundScheduler(
        timezone="Asia/Seoul", job_defaults=DEFAULTS, executors={"default": ThreadPoolExecutor(4)}
    )
    for table in ("runs", "pages", "prices"):
        threads.add_job(copy, "cron", hour=5, args=[table], id=f"copy-{table}")
    ours = KSTScheduler()
    ours.add_job(crawl, cron(hour=6), args=["morning"], id="crawl-morning")
    for each in (loop, threads):
        each.start()
    asyncio.get_running_loop().call_later(2, ours.start)
