"""The jobs of the demonstration: the crawl of workplaces, every night at 03:00 KST."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import TYPE_CHECKING

from kst_scheduler.once.decorator import once
from kst_scheduler.triggers.factories import cron
from kst_workbook.nps import NpsSettings, crawl_nps

if TYPE_CHECKING:
    from kst_scheduler.service.components import Service
    from kst_workbook.nps import CrawlResult

logger = logging.getLogger(__name__)


def register(service: Service) -> None:
    """Add the nightly crawl; a night that was missed is made up for until 09:00."""
    settings = _settings()

    @once(service.ledger, catch_up=timedelta(hours=6))
    async def daily_nps_crawl() -> CrawlResult:
        return await crawl_nps(settings=settings)

    service.scheduler.add_job(daily_nps_crawl, cron(hour=3), id="daily-nps-crawl")


def _settings() -> NpsSettings:
    """Return the settings of the environment, or those of a sandbox inside this process."""
    if os.environ.get("NPS_BASE_URL") or os.environ.get("NPS_SERVICE_KEY"):
        return NpsSettings.from_environment()
    from kst_workbook.nps.sandbox import create_sandbox  # noqa: PLC0415 - where it is used

    logger.info("NPS_SERVICE_KEY is not set: crawling a built-in sandbox of synthetic workplaces")
    return create_sandbox().settings()
