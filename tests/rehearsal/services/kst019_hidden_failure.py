"""Every error is caught, and none is raised.

target: add_jobs
nights: 2
finds: KST019 nightly
"""

from __future__ import annotations

import logging
from typing import Any

from kst_scheduler import cron, once

logger = logging.getLogger(__name__)


async def fetch() -> None:
    """Do a part of the work."""


async def crawl() -> None:
    """Do the work."""
    try:
        await fetch()
    except Exception:
        logger.exception("the crawl failed")


def add_jobs(service: Any) -> None:
    """Add the job."""
    service.scheduler.add_job(once(service.ledger)(crawl), cron(hour=3), id="nightly")
