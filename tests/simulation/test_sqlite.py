"""The package's own ledger in SQLite, which answers from a thread, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler import Crash, cron, kst, once, simulate
from kst_scheduler.ledger import SqlLedger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_scheduler.ledger import LedgerRow

DAY = kst(2026, 5, 10)


def three_nights(url: str) -> pd.DataFrame:
    """Let three replicas run a job of ten minutes once a night; one of them crashes."""

    def register(scheduler: AsyncIOScheduler) -> None:
        ledger = SqlLedger(url)

        @once(ledger, catch_up=timedelta(hours=6), instance="any")
        async def crawl() -> int:
            await asyncio.sleep(600)
            return 7

        async def begin() -> None:
            await ledger.open()
            scheduler.add_job(crawl, cron(hour=3, minute=0), id="nightly")

        tasks.append(asyncio.get_running_loop().create_task(begin()))

    tasks: list[asyncio.Task[None]] = []
    crash = Crash("A", kst(2026, 5, 11, 3, 5), timedelta(minutes=30))
    return simulate(register, DAY, DAY + timedelta(days=3), nodes=3, incidents=[crash]).runs


async def rows(url: str) -> list[LedgerRow]:
    """Return what the file has."""
    ledger = SqlLedger(url)
    await ledger.open()
    try:
        return await ledger.rows()
    finally:
        await ledger.close()


@pytest.fixture(autouse=True)
def _unclosed() -> Iterator[None]:
    """Collect connections quietly: a process that ends with the simulation closes nothing."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_its_answers_take_no_time(tmp_path: Path) -> None:
    """One run a night, at its time, as often as it is simulated."""
    tables: list[Any] = []
    for number in range(2):
        url = f"sqlite:///{tmp_path}/{number}.db"
        tables.append(three_nights(url))
        assert [row.status for row in asyncio.run(rows(url))].count("ok") >= 2
    assert tables[0].equals(tables[1])
    ok = tables[0][tables[0]["status"] == "ok"]
    assert list(ok["finished_at"] - ok["scheduled_at"]) == [timedelta(minutes=10)] * len(ok)
    assert len(tables[0]) >= 9
