"""An hourly report on a host that was down."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.simulation import Freeze, SimulationResult, simulate
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from datetime import datetime

NIGHT: Final = kst(2026, 5, 10, 0, 30), kst(2026, 5, 10, 7)


def hourly(woken: datetime, minutes: int, **options: Any) -> SimulationResult:
    """Simulate hourly reports of a process that is frozen from 00:45 until it is woken."""

    async def make_report() -> None:
        await asyncio.sleep(minutes * 60)

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(make_report, "cron", minute=0, id="hourly-report", **options)

    begin = kst(2026, 5, 10, 0, 45)
    return simulate(
        register,
        *NIGHT,
        incidents=[Freeze("A", begin, woken - begin)],
        scheduler=partial(AsyncIOScheduler, timezone=KST),
    )
