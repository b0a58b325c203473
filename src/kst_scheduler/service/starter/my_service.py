"""Runs one job every night at 03:00 Korean time: kst-scheduler serve --jobs my_service:register."""

import logging
from datetime import date, timedelta

from kst_scheduler import cron, current_occurrence, once
from kst_scheduler.service import Service

logger = logging.getLogger(__name__)


def register(service: Service) -> None:
    """Add the jobs. Every replica calls this once, before its scheduler starts."""

    # cron() is in Korean time, whatever the zone of the host.
    # once() lets one replica run each night, and writes a row about it into the ledger.
    # catch_up: if the service was down at 03:00, the night still runs until 09:00.
    @service.scheduler.scheduled_job(cron(hour=3, minute=0), id="nightly")
    @once(service.ledger, catch_up=timedelta(hours=6))
    async def nightly() -> int:
        # The day that the run is about. A run that is caught up starts later than it was due.
        return await collect(current_occurrence().scheduled_at.date())


async def collect(day: date) -> int:
    """Do the work of one day, and return the number of rows for the ledger.

    A run whose process dies is repeated, so write by keys such as the day: a second write then
    replaces the first.
    """
    logger.info("nothing is collected for %s yet: write your work here", day)
    return 0
