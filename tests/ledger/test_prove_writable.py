from __future__ import annotations

import asyncio

import pytest

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import Ledger, SqlLedger
from ledgers import only_row, opened, request, run_sql, with_ledger


@with_ledger
async def test_a_trial_leaves_nothing(ledger: Ledger) -> None:
    """No row, and no gap in the ids of those that come after it."""
    await ledger.prove_writable()
    assert await ledger.rows() == []
    first = await ledger.claim(request())
    for _ in range(3):
        await ledger.prove_writable()
    assert (await only_row(ledger)).id == first.row_id


@with_ledger
async def test_trials_at_once_do_not_meet(ledger: Ledger) -> None:
    """Replicas try in the same second; each trial is a row of its own."""
    await asyncio.gather(*(ledger.prove_writable() for _ in range(20)))
    assert await ledger.rows() == []


def test_a_trial_that_fails_leaves_no_lock(sql_url: str) -> None:
    """Its transaction is over: a claim may follow at once, and other processes see it."""

    async def run() -> None:
        async with opened(SqlLedger(sql_url)) as ledger:
            run_sql(sql_url, "CREATE TABLE held (id bigint PRIMARY KEY)")
            with pytest.raises(Exception, match="held"):
                await ledger._database.run_script(
                    "BEGIN; INSERT INTO held VALUES (1); INSERT INTO held VALUES (1); COMMIT;"
                )
            await ledger.claim(request())
            assert run_sql(sql_url, "SELECT * FROM held") == []
            assert run_sql(sql_url, "SELECT source FROM crawl_runs") == [("nps",)]

    asyncio.run(run())


def test_a_database_that_is_away_is_unavailable() -> None:
    """As for every other statement."""

    async def run() -> None:
        ledger = SqlLedger("postgresql://nobody@127.0.0.1:1/none")
        ledger._database._opened = True
        with pytest.raises(LedgerUnavailableError):
            await ledger.prove_writable()

    asyncio.run(run())
