"""The service whose rehearsal notebook 13 shows, and whose source it does not."""

from datetime import timedelta

from kst_scheduler import cron, once


async def settle():
    """Settle the day's payments."""


async def send_report():
    """Send the numbers of the day before."""


async def sync_stock():
    """Fetch what each shop has in stock."""


def register(service):
    add = service.scheduler.add_job
    run = once(service.ledger, catch_up=timedelta(hours=2))
    add(run(settle), cron(hour=3), id="settlement")
    add(run(send_report), cron(day_of_week="mon-fri", hour=9), id="report")
    add(sync_stock, "interval", hours=6, id="stock-sync")
