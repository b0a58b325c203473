from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError, LedgerUnavailableError
from kst_scheduler.ledger import SqlLedger, retention
from kst_scheduler.ledger.schema import RUNS
from ledgers import HOUR, THREE, occurrence, opened, outcome, request, run_sql, with_ledger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kst_scheduler.ledger import Ledger


def add_ended(url: str, count: int, *, together: bool = False) -> None:
    """Insert ended rows past the ledger: one a second up to 03:00, or all at 02:00."""
    rows = [
        {
            "source": f"job-{number}",
            "scheduled_at": THREE - (HOUR if together else timedelta(seconds=number + 1)),
            "attempt": 1,
            "instance": "A",
            "status": "ok",
            "trigger": "schedule",
        }
        for number in range(count)
    ]
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.insert(RUNS), rows)
    engine.dispose()


def after_each_batch(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[object]]
) -> list[int]:
    """Do something after each batch of a ledger's; return the sizes of the batches."""
    fetch, sizes = ledger._database.fetch, list[int]()

    async def fetch_and_more(statement: Any, parameters: Any = None) -> Sequence[Any]:
        rows = await fetch(statement, parameters)
        sizes.append(len(rows))
        await then()
        return rows

    monkeypatch.setattr(ledger._database, "fetch", fetch_and_more)
    return sizes


async def nothing() -> None:
    """Do nothing."""


@pytest.mark.parametrize("together", [False, True])
@in_loop
async def test_old_rows_go_in_batches(
    sql_url: str, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """However many there are, and whether or not they have one time, no statement takes many."""
    monkeypatch.setattr(retention, "BATCH", 10)
    monkeypatch.setattr(retention, "PAUSES", {"sqlite": 0, "postgresql": 0})
    async with opened(SqlLedger(sql_url)) as ledger:
        add_ended(sql_url, 95, together=together)
        await ledger.claim(request(occurrence(-90)))
        await ledger.record_missed(occurrence(0), "late", "A")
        sizes = after_each_batch(ledger, monkeypatch, nothing)
        assert await ledger.delete_before(THREE) == 95
        assert sizes == [10] * 9 + [5]
        assert [row.status for row in await ledger.rows()] == ["missed", "running"]


@in_loop
async def test_other_replicas_write_between_two_batches(
    sql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is a transaction of its own: after it nothing is locked, and nothing is rolled back.

    this replica:  delete 10 |       | delete 10 |       | delete 10 | ...
    another one:             | claim |           | claim |           | ...
    """
    monkeypatch.setattr(retention, "BATCH", 10)
    async with opened(SqlLedger(sql_url)) as ledger, opened(SqlLedger(sql_url)) as other:
        add_ended(sql_url, 30)
        left = list[int]()

        async def claim() -> None:
            claim = await other.claim(request(occurrence(len(left)), "B"))
            await other.finish(claim, outcome())
            left.append(run_sql(sql_url, "SELECT count(*) FROM crawl_runs")[0][0])

        after_each_batch(ledger, monkeypatch, claim)
        assert await ledger.delete_before(THREE) == 30
        assert left == [21, 12, 3, 4]


@in_loop
async def test_a_batch_that_fails_leaves_those_before_it_deleted(
    sql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look goes on where this one has stopped."""
    monkeypatch.setattr(retention, "BATCH", 10)
    async with opened(SqlLedger(sql_url)) as ledger:
        add_ended(sql_url, 30)

        async def fail() -> None:
            if len(sizes) == 2:
                raise LedgerUnavailableError("the ledger is away")

        sizes = after_each_batch(ledger, monkeypatch, fail)
        with pytest.raises(LedgerUnavailableError):
            await ledger.delete_before(THREE)
        assert run_sql(sql_url, "SELECT count(*) FROM crawl_runs") == [(10,)]
        assert await ledger.delete_before(THREE) == 10


@in_loop
async def test_two_replicas_delete_at_once(sql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is deleted by one of them, and neither waits for the other in vain."""
    monkeypatch.setattr(retention, "BATCH", 10)
    async with opened(SqlLedger(sql_url)) as ledger, opened(SqlLedger(sql_url)) as other:
        add_ended(sql_url, 60)
        deleted = await asyncio.gather(ledger.delete_before(THREE), other.delete_before(THREE))
        assert sum(deleted) == 60


@in_loop
async def test_a_batch_that_another_replica_deletes_is_not_waited_for(postgres_url: str) -> None:
    """PostgreSQL passes by locked rows, and deletes what is left."""
    async with opened(SqlLedger(postgres_url)) as ledger:
        add_ended(postgres_url, 20)
        engine = sqlalchemy.create_engine(postgres_url.replace("ql:", "ql+psycopg:"))
        with engine.begin() as connection:
            query = "DELETE FROM crawl_runs WHERE source LIKE 'job-1%%'"
            locked = connection.exec_driver_sql(query).rowcount
            assert await ledger.delete_before(THREE) == 20 - locked
        engine.dispose()


@with_ledger
async def test_a_limit_takes_the_oldest(ledger: Ledger) -> None:
    """A caller may do a part at a time."""
    for minute in (3, 1, 2, 4):
        await ledger.record_missed(occurrence(minute), "late", "A")
    assert await ledger.delete_before(THREE + HOUR, 0) == 0
    assert await ledger.delete_before(THREE + HOUR, 2) == 2
    left = sorted(row.scheduled_at for row in await ledger.rows())
    assert left == [THREE + timedelta(minutes=minute) for minute in (3, 4)]
    assert await ledger.delete_before(THREE + HOUR, 5) == 2
    with pytest.raises(InvalidArgumentError, match="limit must be from 0"):
        await ledger.delete_before(THREE, -1)


@in_loop
async def test_a_limit_over_several_batches(sql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last batch is as large as what is left of the limit."""
    monkeypatch.setattr(retention, "BATCH", 10)
    async with opened(SqlLedger(sql_url)) as ledger:
        add_ended(sql_url, 40)
        sizes = after_each_batch(ledger, monkeypatch, nothing)
        assert await ledger.delete_before(THREE, 25) == 25
        assert sizes == [10, 10, 5]
        assert await ledger.delete_before(THREE, 10) == 10
