"""The service of the capstone, repaired: it looks after its jobs by a job of its own.

target: register
nights: 5
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from kst_scheduler import Reconciler, cron, current_node, on_business_days, once, redis_lock
from kst_workbook.scenes.capstone import (
    CRAWL,
    REPORT,
    TOKEN,
    crawl_nps,
    renew_token,
    send_report,
)

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


def register(service: Any) -> None:
    """Add the jobs."""

    def lock() -> AbstractAsyncContextManager[Any]:
        return redis_lock("lock:daily-nps-crawl", ttl=300, client=service.redis)

    run = partial(once, service.ledger, lease=timedelta(minutes=10), instance=current_node())
    add = service.scheduler.add_job
    add(run(lock, catch_up=timedelta(hours=6))(crawl_nps), cron(hour=3), id=CRAWL)
    add(run(catch_up=timedelta(minutes=50))(renew_token), cron(minute=0), id=TOKEN)
    add(run(catch_up=timedelta(hours=3))(send_report), on_business_days(cron(hour=9)), id=REPORT)
    add(Reconciler(service.scheduler, service.ledger).reconcile, cron(minute="5,35"), id="look")
