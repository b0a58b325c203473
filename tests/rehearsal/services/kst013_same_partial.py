"""One partial under two ids.

target: register
nodes: 1
minutes: 40
finds: KST013 again
"""

from __future__ import annotations

from functools import partial

from kst_scheduler import KSTScheduler, cron


async def crawl(source: str) -> None:
    """Do the work."""


def register(scheduler: KSTScheduler) -> None:
    """Add the jobs; those of another source are no twins."""
    scheduler.add_job(partial(crawl, "nps"), cron(hour=3), id="nightly")
    scheduler.add_job(partial(crawl, "nps"), cron(hour=3, minute=30), id="again")
    scheduler.add_job(partial(crawl, "krx"), cron(hour=3), id="other")
