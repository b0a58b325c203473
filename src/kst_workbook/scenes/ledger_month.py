"""May 2026 of notebook 09: a month of rows on two replicas, in which six things go wrong."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.simulation import Crash, Freeze, current_node, simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.nps import crawl_nps
from kst_workbook.nps.sandbox import create_sandbox

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_scheduler.simulation import Incident
    from kst_workbook.nps import CrawlResult

MAY: Final = (kst(2026, 5, 1), kst(2026, 6, 1))
QUOTA_SPENT: Final = 20
ONLY_SEOUL: Final = 27
_SEOUL: Final = "11"
_DEPLOYED: Final = kst(2026, 5, 23, 3, 5)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)

INCIDENTS: Final[tuple[Incident, ...]] = (
    *(Freeze(node, kst(2026, 5, 7, 2, 50), 3 * _HOUR) for node in "AB"),
    Crash("A", kst(2026, 5, 14, 3, 5), _HOUR),
    *(Crash(node, _DEPLOYED + _MINUTE, 9 * _MINUTE) for node in "AB"),
)


def month_of_rows() -> MemoryLedger:
    """Return the ledger of the month, simulated: the jobs ``nps`` and ``hourly-token``.

    On the 7th both replicas freeze, on the 14th the one that crawls is killed, on the 20th the
    quota is used up, on the 23rd a deployment cuts the crawl, on the 27th the search is limited to
    Seoul, and from the 21st on each crawl takes a minute longer than the one before.
    """
    ledger, sandbox = MemoryLedger(), create_sandbox()

    async def crawl() -> CrawlResult:
        day = datetime.now(KST).day
        sandbox.quota = 0 if day == QUOTA_SPENT else 10_000
        search = {"ldongAddrMgplDgCd": _SEOUL} if day == ONLY_SEOUL else {}
        result = await crawl_nps(settings=sandbox.settings(search=search))
        await asyncio.sleep(60 * (18 + max(0, day - QUOTA_SPENT)))
        return result

    def register(scheduler: AsyncIOScheduler) -> None:
        job = once(ledger, instance=current_node(), catch_up=2 * _HOUR)
        scheduler.add_job(job(crawl), cron(hour=3), id="nps")
        scheduler.add_job(job(asyncio.sleep), cron(minute=0), args=[1], id="hourly-token")
        look = Reconciler(scheduler, ledger).reconcile  # twice an hour, for a quick month
        scheduler.add_job(look, cron(minute="5,35"), id="look")
        scheduler.add_job(scheduler.shutdown, "date", run_date=_DEPLOYED, id="deployment")

    simulate(register, *MAY, nodes=2, incidents=INCIDENTS)
    return ledger
