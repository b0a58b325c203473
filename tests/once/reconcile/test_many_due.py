"""A Reconciler that finds thousands of occurrences holds up nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler.ledger import ClaimRequest, MemoryLedger, Outcome
from kst_scheduler.ledger.checks import occurrence_key
from kst_scheduler.once.reconcile import job_reconciler, overdue
from kst_scheduler.once.reconcile.fire_plan import MAX_AT_ONCE
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.triggers.factories import cron
from replicas import NIGHT, Night, crawl_for, play

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from kst_scheduler.ledger import LedgerRow

MINUTE = timedelta(minutes=1)


class WatchedLedger(MemoryLedger):
    """A ledger in memory that keeps what was read, and lets another replica run between pages."""

    def __init__(self, rows: Iterable[int] = (), between_pages: Iterable[int] = ()) -> None:
        super().__init__()
        self.pages: list[tuple[datetime, int]] = []
        """From when on rows were read, and how many were returned."""
        self.between_pages = list(between_pages)
        asyncio.run(self._run_elsewhere(rows))

    async def rows(self, source: str | None = None, **options: Any) -> list[LedgerRow]:
        """Return a page; then another replica has its turn."""
        found = await super().rows(source, **options)
        if options.get("limit") is not None:
            self.pages.append((options["since"], len(found)))
            await self._run_elsewhere(self.between_pages)
            self.between_pages.clear()
        return found

    async def _run_elsewhere(self, minutes: Iterable[int]) -> None:
        for count in minutes:
            moment = minutes_ago(count)
            request = ClaimRequest(Occurrence("nps", moment), "B", MINUTE, moment)
            await self.finish(await self.claim(request), Outcome("ok", moment, timedelta(0)))


class Turns:
    """Counts how often something is done in each turn of the event loop."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self._this_turn = 0

    def note(self) -> None:
        """Count it once more."""
        if not self._this_turn:
            asyncio.get_running_loop().call_soon(self._end)
        self._this_turn += 1

    def _end(self) -> None:
        self.counts.append(self._this_turn)
        self._this_turn = 0


def minutes_ago(count: int) -> datetime:
    """Return a minute before midnight."""
    return NIGHT - count * MINUTE


def look(ledger: MemoryLedger, minutes: int, **options: Any) -> Night:
    """Look once, just after midnight, at what should have run each minute before it."""
    asyncio.run(ledger.advance_watermark("nps", minutes_ago(minutes)))
    start = NIGHT + timedelta(seconds=20)
    return play(
        crawl_for(1),
        cron(minute="*"),
        start=start,
        until=start + timedelta(seconds=30),
        nodes=1,
        ledger=ledger,
        **options,
    )


@pytest.mark.parametrize("catch_up", [10 * MINUTE, timedelta(days=2)])
def test_no_turn_of_the_loop_works_out_more_than_a_hundred_times(
    monkeypatch: pytest.MonkeyPatch, catch_up: timedelta
) -> None:
    """Whether nearly all of them are too late or in time; nor write more rows than that."""
    worked_out, written = Turns(), Turns()

    def counted(occurrence: Occurrence) -> tuple[str, datetime, str]:
        worked_out.note()
        return occurrence_key(occurrence)

    class Ledger(MemoryLedger):
        async def record_missed(self, *arguments: Any) -> LedgerRow | None:
            written.note()
            return await super().record_missed(*arguments)

    monkeypatch.setattr(overdue, "occurrence_key", counted)
    story = look(Ledger(), 1000, catch_up=catch_up)
    assert story.statuses() == [*["missed"] * 1000, "ok"]  # midnight itself
    assert max(worked_out.counts) <= MAX_AT_ONCE + 3
    assert sum(worked_out.counts) <= 1010
    assert max(written.counts) <= MAX_AT_ONCE + 3
    assert sum(written.counts) == 1000


def test_rows_are_read_in_pages_and_only_those_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the rows of what came before the last occurrences that a look takes on."""
    monkeypatch.setattr(job_reconciler, "MAX_ROWS", 10)
    monkeypatch.setattr(job_reconciler, "MAX_MISSED", 26)
    ledger = WatchedLedger(rows=range(100, 0, -1))
    story = look(ledger, 100)
    assert story.statuses() == ["ok"] * 101
    assert ledger.pages == [(minutes_ago(25), 10), (minutes_ago(25), 10), (minutes_ago(25), 5)]


def test_what_is_claimed_between_two_pages_is_neither_missed_nor_run_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is on no page; the ledger refuses the row, and the run."""
    monkeypatch.setattr(job_reconciler, "MAX_ROWS", 10)
    ledger = WatchedLedger(rows=range(40, 20, -1), between_pages=range(20, -1, -1))
    story = look(ledger, 40, catch_up=60 * MINUTE)
    assert [count for _, count in ledger.pages] == [10, 10, 0]
    assert {row.instance for row in story.rows()} == {"B"}
    assert story.statuses() == ["ok"] * 41
