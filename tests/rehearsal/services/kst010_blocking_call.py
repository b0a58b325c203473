"""A library without asyncio in a coroutine.

target: add_jobs
nights: 2
finds: KST010 token
"""

from __future__ import annotations

import time
from typing import Any

from kst_scheduler import every, once


async def renew() -> None:
    """Do the work."""
    time.sleep(30)  # noqa: ASYNC251 - the fault


def add_jobs(service: Any) -> None:
    """Add the job."""
    service.scheduler.add_job(once(service.ledger)(renew), every(hours=1), id="token")
