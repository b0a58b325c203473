"""A failover: the sessions in the pool are on a server that was demoted, new ones on another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from in_loop import in_loop
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import SqlLedger, engines
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from ledgers import HOUR, THREE, expire, occurrence, opened, outcome, request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

SESSIONS = engines.LEDGER_CONNECTIONS["postgresql"]


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """Start a PostgreSQL of this module's own, whose settings are changed."""
    with EmbeddedServer(Postgres()) as server:
        yield server


@pytest.fixture
def url(server: EmbeddedServer) -> Iterator[str]:
    """Return the URL of a PostgreSQL without tables, whose sessions can write."""
    yield server.url
    run(
        server.url,
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "ALTER ROLE postgres RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
        "DROP TABLE IF EXISTS crawl_runs, crawl_sources, crawl_schema",
    )


def run(url: str, *statements: str) -> None:
    """Run statements in a session of their own, past the ledger."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


async def on_all_sessions(ledger: SqlLedger, expression: str) -> list[object]:
    """Return the value of an expression in each session that the ledger may hold."""
    engine = ledger._database._engine
    connections = [await engine.raw_connection() for _ in range(SESSIONS)]
    sessions: list[Any] = [connection.driver_connection for connection in connections]
    answers = [await session.fetchval(f"SELECT {expression}") for session in sessions]
    for connection in connections:
        connection.close()
    return answers


async def fail_over(ledger: SqlLedger, url: str, *, new_ones: str = "off") -> None:
    """Make all sessions of a ledger read-only; new ones are not, for their role says so."""
    read_only = "current_setting('transaction_read_only')"
    assert set(await on_all_sessions(ledger, read_only)) == {"off"}
    run(
        url,
        f"ALTER ROLE postgres SET default_transaction_read_only = {new_ones}",
        "ALTER SYSTEM SET default_transaction_read_only = on",
        "SELECT pg_reload_conf()",
    )
    for _ in range(100):  # each of them hears of it by itself
        if set(await on_all_sessions(ledger, read_only)) == {"on"}:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the sessions did not become read-only")


CALLS: dict[str, Callable[[SqlLedger], Awaitable[object]]] = {
    "advance_watermark": lambda ledger: ledger.advance_watermark("nps", THREE),
    "record_missed": lambda ledger: ledger.record_missed(occurrence(1), "late", "A"),
    "claim": lambda ledger: ledger.claim(request(occurrence(2, "token"))),
    "delete_before": lambda ledger: ledger.delete_before(THREE - HOUR),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@in_loop
async def test_a_write_heals_by_itself(
    url: str, call: Callable[[SqlLedger], Awaitable[object]]
) -> None:
    """A server that only reads has done nothing, so the statement is run again in a new session."""
    async with opened(SqlLedger(url)) as ledger:
        await fail_over(ledger, url)
        await call(ledger)


@in_loop
async def test_a_run_in_progress_goes_on(url: str) -> None:
    """Its lease is renewed and its outcome written, a row is taken over, and one is closed."""
    async with opened(SqlLedger(url)) as ledger:
        claim = await ledger.claim(request())
        other = await ledger.claim(request(occurrence(job_id="token")))
        await expire(ledger, other)
        (abandoned,) = await ledger.abandoned()
        await fail_over(ledger, url)
        assert await ledger.renew(claim)
        assert await ledger.finish(claim, outcome())
        assert await ledger.close_abandoned(abandoned, "gone")


@in_loop
async def test_one_answer_replaces_every_session(url: str) -> None:
    """The others of the pool were on the same server: none of them is used again."""
    async with opened(SqlLedger(url)) as ledger:
        await fail_over(ledger, url)
        await ledger.advance_watermark("nps", THREE)
        answers = await on_all_sessions(ledger, "current_setting('transaction_read_only')")
        assert set(answers) == {"off"}


@in_loop
async def test_where_new_sessions_only_read_as_well_the_ledger_is_unavailable(url: str) -> None:
    """Every call says so, and the first one after the promotion is served."""
    async with opened(SqlLedger(url)) as ledger:
        await fail_over(ledger, url, new_ones="on")
        for _ in range(3):
            with pytest.raises(LedgerUnavailableError, match="read-only transaction"):
                await ledger.advance_watermark("nps", THREE)
        assert await ledger.rows() == []
        run(
            url,
            "SET default_transaction_read_only = off",
            "ALTER ROLE postgres SET default_transaction_read_only = off",
        )
        await ledger.advance_watermark("nps", THREE)


@in_loop
async def test_sessions_that_an_administrator_ended_are_replaced(url: str) -> None:
    """One call may fail, for nobody knows whether it was done; no second one does."""
    async with opened(SqlLedger(url)) as ledger:
        await on_all_sessions(ledger, "1")
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> {} AND {}"
        run(url, ended.format("pg_backend_pid()", "backend_type = 'client backend'"))
        failed = 0
        for _ in range(2 * SESSIONS):
            try:
                await ledger.advance_watermark("nps", THREE)
            except LedgerUnavailableError:
                failed += 1
        assert failed <= 1


@in_loop
async def test_an_error_that_is_no_failover_costs_no_session(url: str) -> None:
    """A lock that is not had, or a row that is there already, says nothing about the server."""
    pid = "pg_backend_pid()"
    async with opened(SqlLedger(url)) as ledger:
        before = await on_all_sessions(ledger, pid)
        await ledger.record_missed(occurrence(), "late", "A")
        assert await ledger.record_missed(occurrence(), "late", "A") is None
        assert sorted(map(str, await on_all_sessions(ledger, pid))) == sorted(map(str, before))


@in_loop
async def test_a_file_that_could_be_read_only_is_opened_again(tmp_path: Path) -> None:
    """SQLite keeps a connection read-only that was opened as such, whatever became of the file."""
    async with opened(SqlLedger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        async with ledger._database._engine.connect() as connection:
            await connection.exec_driver_sql("PRAGMA query_only = ON")
        with pytest.raises(LedgerUnavailableError, match="readonly database"):
            await ledger.advance_watermark("nps", THREE)
        await ledger.advance_watermark("nps", THREE)
