from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from in_loop import in_loop
from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.ledger.memory import MemoryRows
from kst_scheduler.scheduler.occurrence import Occurrence
from ledgers import THREE, occurrence, outcome, request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kst_scheduler.ledger import LedgerRow

MANY = 3_000
LAST = THREE + timedelta(minutes=MANY)


class CountedRows(dict[int, Any]):
    """Rows that count how often one of them is read."""

    reads = 0

    def __getitem__(self, key: int) -> Any:
        self.reads += 1
        return super().__getitem__(key)


async def filled() -> MemoryLedger:
    """Return a ledger with a row a minute, of two jobs."""
    ledger = MemoryLedger()
    for minute in range(MANY):
        await ledger.record_missed(
            occurrence(minute, "nps" if minute % 2 else "token"), "late", "A"
        )
    return ledger


CALLS: dict[str, Callable[[MemoryLedger], Awaitable[object]]] = {
    "claim": lambda ledger: ledger.claim(request(occurrence(MANY))),
    "what runs": lambda ledger: ledger.rows("nps", status="running"),
    "the last minutes": lambda ledger: ledger.rows("nps", since=LAST - timedelta(minutes=5)),
    "the last minutes of all": lambda ledger: ledger.rows(since=LAST - timedelta(minutes=5)),
    "the first minutes": lambda ledger: ledger.rows(until=THREE + timedelta(minutes=5)),
    "the latest": lambda ledger: ledger.rows(limit=1),
    "what was abandoned": lambda ledger: ledger.abandoned(),
    "delete_before": lambda ledger: ledger.delete_before(THREE + timedelta(minutes=5)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@in_loop
async def test_few_rows_are_read(call: Callable[[MemoryLedger], Awaitable[object]]) -> None:
    """However many there are: what a claim and a look ask for does not block the event loop."""
    ledger = await filled()
    counted = ledger._rows._rows = CountedRows(ledger._rows._rows)
    await call(ledger)
    assert counted.reads <= 10


@in_loop
async def test_what_was_forgotten_leaves_nothing_behind() -> None:
    """Jobs with an id of their own each night do not make it grow without an end."""
    ledger = MemoryLedger()
    for night in range(20):
        claim = await ledger.claim(request(occurrence(night, f"job-{night}")))
        await ledger.finish(claim, outcome())
    await ledger.delete_before(LAST)
    empty, rows = vars(MemoryRows()), vars(ledger._rows)
    left = {name for name in empty if rows[name] != empty[name]}
    assert left <= {"_last_id", "_clock_began"}


ADDED = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.booleans()), max_size=12)
MOMENTS = st.none() | st.integers(0, 6).map(lambda minute: THREE + timedelta(minutes=minute))


@given(
    ADDED,
    MOMENTS,
    st.sampled_from([None, "a", "b", "c"]),
    MOMENTS,
    MOMENTS,
    st.sampled_from([None, "missed", "running", "ok"]),
    st.none() | st.integers(0, 13),
)
@in_loop
async def test_it_finds_what_reading_all_rows_finds(
    added: Sequence[tuple[str, int, bool]],
    forgotten: Any,
    source: str | None,
    since: Any,
    until: Any,
    status: str | None,
    before_id: int | None,
) -> None:
    """In whatever order rows came, and whichever of them are gone."""
    ledger = MemoryLedger()
    for job_id, minute, runs in added:
        of = Occurrence(job_id, THREE + timedelta(minutes=minute))
        with contextlib.suppress(LockedOutError):
            if runs:
                await ledger.claim(request(of))
            else:
                await ledger.record_missed(of, "late", "A")
    if forgotten:
        await ledger.delete_before(forgotten)

    def is_meant(row: LedgerRow) -> bool:
        return (
            source in {None, row.source}
            and (since is None or since <= row.scheduled_at)
            and (until is None or row.scheduled_at < until)
            and status in {None, row.status}
            and (before_id is None or row.id < before_id)
        )

    every = sorted(ledger._rows._rows.values(), key=lambda row: -row.id)
    found = await ledger.rows(source, since=since, until=until, status=status, before_id=before_id)
    assert found == list(filter(is_meant, every))


@in_loop
async def test_old_rows_are_deleted_in_batches() -> None:
    """The oldest of all jobs first; between two batches others have their turn."""
    ledger = await filled()
    turns: list[int] = []

    async def look() -> None:
        while True:
            turns.append(len(await ledger.rows()))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    running = await ledger.claim(request(occurrence(-1)))
    assert await ledger.delete_before(LAST, MANY - 100) == MANY - 100
    looking.cancel()
    assert turns == [2_001, 1_001]
    left = await ledger.rows()
    assert [row.scheduled_at for row in left[1:]] == [
        THREE + timedelta(minutes=minute) for minute in reversed(range(MANY - 100, MANY))
    ]
    assert left[0].id == running.row_id
    assert await ledger.delete_before(LAST) == 100
    assert await ledger.rows("token") == []
    assert [row.id for row in await ledger.rows(until=LAST)] == [running.row_id]
