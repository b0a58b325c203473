"""A deployment at the time of the run; the scheduler is shut down, and waits for what runs.

target: app
nodes: 1
nights: 3
finds: KST023 nightly
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.background import BackgroundScheduler
from starlette.applications import Starlette

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def crawl() -> None:
    """Do the work."""


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Run the scheduler while the application runs."""
    scheduler = BackgroundScheduler(timezone="Asia/Seoul")
    scheduler.add_job(crawl, "cron", hour=3, id="nightly", misfire_grace_time=300)  # the fault
    scheduler.start()
    yield
    scheduler.shutdown()


app = Starlette(lifespan=lifespan)
