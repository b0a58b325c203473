"""Three nights on three replicas with a ledger in SQLite, as a program.

Its simulated processes close nothing, and Python warns of connections that it collects unclosed.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from kst_scheduler import Crash, cron, kst, once, simulate
from kst_scheduler.ledger import SqlLedger

if TYPE_CHECKING:
    import pandas as pd
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

DAY = kst(2026, 5, 10)


def three_nights(url: str) -> pd.DataFrame:
    """Let three replicas run a job of ten minutes once a night; one of them crashes."""
    tasks: list[asyncio.Task[None]] = []

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

    crash = Crash("A", kst(2026, 5, 11, 3, 5), timedelta(minutes=30))
    return simulate(register, DAY, DAY + timedelta(days=3), nodes=3, incidents=[crash]).runs


async def count_ok(url: str) -> int:
    """Return how many rows of the file are ok."""
    ledger = SqlLedger(url)
    await ledger.open()
    try:
        return sum(row.status == "ok" for row in await ledger.rows())
    finally:
        await ledger.close()


def main(folder: str) -> None:
    """Simulate twice, and print what is to be seen."""
    urls = [f"sqlite:///{folder}/{number}.db" for number in range(2)]
    first, second = map(three_nights, urls)
    ok = first[first["status"] == "ok"]
    durations = set(ok["finished_at"] - ok["scheduled_at"])
    lines = (
        f"equal {first.equals(second)}",
        f"ten minutes {durations == {timedelta(minutes=10)}}",
        f"one run a night {ok['scheduled_at'].is_unique} {len(first) >= 9}",
        f"rows {[asyncio.run(count_ok(url)) == len(ok) >= 2 for url in urls]}",
    )
    sys.stdout.write("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1])
