"""A scheduler that is started while the module is imported.

target: scheduler
nodes: 1
finds: KST016
"""

from __future__ import annotations

from kst_scheduler import KSTScheduler, cron

scheduler = KSTScheduler()


@scheduler.scheduled_job(cron(hour=3), id="nightly")
async def crawl() -> None:
    """Do the work."""


scheduler.start()
