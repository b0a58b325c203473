"""The service of the capstone as the lesson writes it, and repaired, for a bad week or month."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytz
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.simulation import current_node
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import cron
from kst_workbook.scenes.capstone import (
    CRAWL,
    REPORT,
    TOKEN,
    Service,
    crawl_nps,
    renew_token,
    send_report,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


def lesson_scheduler() -> AsyncIOScheduler:
    """Return the scheduler of the lesson; it drops the fourth option without a word."""
    options = {"max_instances": 1, "coalesce": True, "misfire_grace_time": 300}
    defaults = {**options, "replace_existing": True}
    return AsyncIOScheduler(timezone=pytz.timezone("Asia/Seoul"), job_defaults=defaults)


def lesson(service: Service) -> None:
    """Add the jobs as the lesson does, under redis-py's lock that waits."""

    async def crawl_with_lock() -> None:
        async with service.redis.lock("lock:daily-nps-crawl", timeout=3600, sleep=60):
            await crawl_nps()

    add = service.scheduler.add_job
    add(crawl_with_lock, CronTrigger(hour=3, minute=0), id=CRAWL)
    add(renew_token, CronTrigger(minute=0), id=TOKEN)
    add(send_report, CronTrigger(day_of_week="mon-fri", hour=9), id=REPORT)


def repaired(service: Service, *, locked: bool = True, catch_up: int = 6) -> None:
    """Add the jobs once for all replicas, and look after them twice an hour."""

    def lock() -> AbstractAsyncContextManager[Any]:
        return redis_lock("lock:daily-nps-crawl", ttl=300, client=service.redis)

    run = partial(once, service.ledger, lease=timedelta(minutes=10), instance=current_node())
    crawl = run(lock if locked else None, catch_up=timedelta(hours=catch_up))(crawl_nps)
    token = run(catch_up=timedelta(minutes=50))(renew_token)
    report = run(catch_up=timedelta(hours=3))(send_report)
    add = service.scheduler.add_job
    add(crawl, cron(hour=3), id=CRAWL)
    add(token, cron(minute=0), id=TOKEN)
    add(report, on_business_days(cron(hour=9)), id=REPORT)
    look = Reconciler(service.scheduler, service.ledger).reconcile
    add(look, cron(minute="5,35"), id="look")
