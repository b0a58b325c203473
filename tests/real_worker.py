"""A worker as a process of the operating system, and the jobs that it shares with the schedulers.

Started as ``python real_worker.py NAME JOURNAL``, with DATABASE_URL in its environment. The journal
is a file to which every run writes a line when it begins and when it ends: a witness that knows
nothing of ledgers and queues.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kst_scheduler.distributed import hand_off, task_app, work
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import current_occurrence
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.factories import at

if TYPE_CHECKING:
    from procrastinate import App

LEASE = timedelta(seconds=2)
"""Of the slow ones, whose workers are killed; a busy machine may hold up another worker as long."""
STALLED_AFTER = timedelta(seconds=3)
CONCURRENCY = 4


class Journal:
    """The witness: one line an event, appended by all processes to one file."""

    def __init__(self, path: Path, node: str) -> None:
        self.path = path
        self._node = node

    def note(self, event: str) -> None:
        """Write what the calling run is at; a short line to O_APPEND is written as a whole."""
        line = f"{event} {current_occurrence().key} {self._node}\n"
        with self.path.open("a") as file:
            file.write(line)

    def lines(self) -> list[list[str]]:
        """Return event, key and node of each line."""
        return [line.split() for line in self.path.read_text().splitlines()]

    def count(self, event: str) -> Counter[str]:
        """Return how often each occurrence has had an event."""
        return Counter(key for each, key, _ in self.lines() if each == event)


def register(
    scheduler: KSTScheduler,
    ledger: SqlLedger,
    app: App,
    journal: Journal,
    due: dict[str, datetime],
    node: str | None = None,
) -> None:
    """Add jobs that are due once; one named slow-... does not end in its first attempt."""

    async def crawl() -> int:
        journal.note("begin")
        occurrence = current_occurrence()
        is_first = journal.count("begin")[occurrence.key] == 1
        is_slow = occurrence.job_id.startswith("slow")
        await asyncio.sleep(60 if is_slow and is_first else 0.05)
        journal.note("end")
        return 7

    for job_id, moment in due.items():
        lease = LEASE if job_id.startswith("slow") else timedelta(minutes=1)
        job = once(ledger, lease=lease, catch_up=timedelta(minutes=5), instance=node)(crawl)
        scheduler.add_job(hand_off(job, app), at(moment), id=job_id)


async def main(node: str, path: str) -> None:
    """Work until the process is killed."""
    url = os.environ["DATABASE_URL"]
    ledger, app, scheduler = SqlLedger(url), task_app(url), KSTScheduler()
    await ledger.open()
    names = [f"{kind}-{number}" for kind in ("quick", "slow") for number in range(40)]
    due = dict.fromkeys(names, datetime.now(KST).replace(microsecond=0))
    register(scheduler, ledger, app, Journal(Path(path), node), due, node)
    working = work(app, scheduler, concurrency=CONCURRENCY, stalled_after=STALLED_AFTER)
    asyncio.get_running_loop().call_later(0.2, Path(path).with_name(f"{node}.up").touch)
    await working


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(main(*sys.argv[1:]))
