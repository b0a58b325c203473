"""Each night has a Redis, a ledger and a log of pages of its own."""

from __future__ import annotations

import asyncio

from kst_scheduler.once.decorator import once
from kst_scheduler.simulation import current_node
from kst_scheduler.timezone import kst
from kst_workbook.exercises.crawl_nights import at_once
from kst_workbook.scenes.replica_nights import ReplicaNights


def test_a_night_begins_with_nothing_of_the_one_before() -> None:
    """The same lock is free, and the same occurrence has no row."""
    nights = ReplicaNights()

    async def write(minutes: int) -> None:
        async with nights.client().lock("lock:nps", timeout=9000, blocking=False):
            nights.written.note()
            await asyncio.sleep(minutes * 60)

    for _ in range(2):
        night = nights.replay(
            lambda: once(nights.ledger, instance=current_node())(write), crawl=[200]
        )
        assert len(nights.written.table()) == 1
        assert len(at_once(nights.ledger.rows())) == 1
        assert sorted(night.runs["status"]) == ["locked_out", "running"]


def test_a_run_starts_with_its_first_page() -> None:
    """Not when it begins to wait."""
    nights = ReplicaNights()

    async def wait() -> None:
        await asyncio.sleep(60)
        nights.written.note()

    night = nights.replay(lambda: wait, nodes=1)
    assert list(night.runs["started_at"]) == [kst(2026, 5, 10, 3, 1)]
