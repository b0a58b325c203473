from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from in_loop import in_loop
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import SqlLedger, database, engines
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from ledgers import occurrence, opened, outcome, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.ledger import Claim, ClaimRequest, Ledger


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    """Start a PostgreSQL of this module's own, to be killed."""
    with EmbeddedServer(Postgres()) as server:
        yield server


@in_loop
async def test_a_server_that_was_killed_is_found_again(server: EmbeddedServer) -> None:
    """Meanwhile the ledger is unavailable; afterwards the same one goes on, and nothing is lost."""
    async with opened(SqlLedger(server.url)) as ledger:
        claim = await ledger.claim(request())
        server.kill()

        async def finish_until_it_fails() -> None:
            # The process of a connection may live on for a moment, and write; twice is once.
            async with asyncio.timeout(30):
                while await ledger.finish(claim, outcome()):  # noqa: ASYNC110 - nothing else tells
                    await asyncio.sleep(0.01)

        with pytest.raises(LedgerUnavailableError, match=r"postgresql://postgres:\*\*\*@127"):
            await finish_until_it_fails()
        with pytest.raises(LedgerUnavailableError, match=r"postgresql://postgres:\*\*\*@127"):
            await ledger.finish(claim, outcome())
        server.restart()
        assert await ledger.finish(claim, outcome())


@in_loop
async def test_a_restart_between_two_statements_costs_a_retry_at_most(
    server: EmbeddedServer,
) -> None:
    """However many connections died meanwhile, none of them stays in use."""
    async with opened(SqlLedger(server.url)) as ledger:
        requests = [request(occurrence(5, str(number))) for number in range(30)]
        claims = await asyncio.gather(*(ledger.claim(each) for each in requests))
        server.kill()
        server.restart()
        assert await asyncio.gather(*(persistently(ledger, each) for each in requests)) == claims
        for _ in range(engines.LEDGER_CONNECTIONS["postgresql"] + 1):
            assert await ledger.abandoned() == []


async def persistently(ledger: Ledger, wanted: ClaimRequest) -> Claim:
    """Claim until the ledger is there."""
    for _ in range(100):
        with contextlib.suppress(LedgerUnavailableError):
            return await ledger.claim(wanted)
        await asyncio.sleep(0.01)
    return await ledger.claim(wanted)


@in_loop
async def test_a_connection_that_is_known_to_be_closed_is_not_used(server: EmbeddedServer) -> None:
    """A restart that the loop has heard of costs nothing."""
    async with opened(SqlLedger(server.url)) as ledger:
        async with ledger._database._engine.connect() as connection:
            used = (await connection.get_raw_connection()).driver_connection
        assert used is not None
        server.kill()
        server.restart()
        for _ in range(1_000):
            if used.is_closed():
                break
            await asyncio.sleep(0.01)
        assert (await ledger.claim(request(occurrence(9)))).attempt == 1


@in_loop
async def test_a_backend_that_dies_in_the_middle(server: EmbeddedServer) -> None:
    """A connection cut while a statement runs is an outage, and no bug."""
    async with opened(SqlLedger(server.url)) as ledger:
        with psycopg.connect(server.url) as blocker:
            blocker.execute("LOCK TABLE crawl_runs IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.create_task(ledger.abandoned())
            for _ in range(1_000):
                if end_who_waits(server):
                    break
                await asyncio.sleep(0.01)
            with pytest.raises(LedgerUnavailableError):
                await waiting
        await ledger.abandoned()


def end_who_waits(server: EmbeddedServer) -> bool:
    """End each backend that waits for a lock; return whether there was one."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        ended = admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        )
        return ended.rowcount > 0


@in_loop
async def test_an_answer_that_does_not_come_is_not_waited_for(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that hangs is given up, and the ledger works as soon as the database does."""
    async with opened(SqlLedger(postgres_url)) as ledger:
        monkeypatch.setattr(database, "STATEMENT_SECONDS", 0.2)
        with psycopg.connect(postgres_url) as blocker:
            blocker.execute("LOCK TABLE crawl_runs IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(LedgerUnavailableError, match="did not answer in time"):
                await ledger.claim(request())
        monkeypatch.undo()
        assert (await ledger.claim(request())).attempt == 1


@in_loop
async def test_no_password_is_told(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a refused login nor a server that is away shows it, in the error or in the log."""
    caplog.set_level(logging.DEBUG)
    password = postgres_url.split(":")[2].split("@", maxsplit=1)[0]
    wrong = postgres_url.replace(password, "not-the-password")
    away = postgres_url.replace(":" + postgres_url.rsplit(":", 1)[1], ":9/postgres")
    nowhere = postgres_url.rsplit("/", 1)[0] + "/nowhere"
    for url, message in [
        (wrong, "password authentication failed"),
        (away, "Connect call failed"),
        (nowhere, 'database "nowhere" does not exist'),
    ]:
        ledger = SqlLedger(url)
        with pytest.raises(LedgerUnavailableError, match=message) as caught:
            await ledger.open()
        await ledger.close()
        chain: list[BaseException] = [caught.value]
        while following := chain[-1].__cause__ or chain[-1].__context__:
            chain.append(following)
        told = " ".join([*map(repr, chain), *map(str, chain), repr(ledger), caplog.text])
        assert password not in told
        assert "not-the-password" not in told


@in_loop
async def test_no_value_is_told_by_a_database_error(postgres_url: str) -> None:
    """An error that is a bug says what is wrong, and not what was to be written."""
    async with opened(SqlLedger(postgres_url)) as ledger:
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("DROP TABLE crawl_runs")
        with pytest.raises(asyncpg.UndefinedTableError, match="does not exist") as claimed:
            await ledger.claim(request(instance="a-secret-host"))
        with pytest.raises(ProgrammingError, match="does not exist") as missed:
            await ledger.record_missed(occurrence(), "late", "a-secret-host")
        assert "a-secret-host" not in f"{claimed.value!r} {missed.value}"


@in_loop
async def test_the_queries_in_use_have_an_index(postgres_url: str) -> None:
    """The statements of each claim and each look never read the whole table."""
    async with opened(SqlLedger(postgres_url)):
        pass
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO crawl_runs (source, scheduled_at, attempt, instance, status, trigger) "
            "SELECT 'job-' || n % 50, timestamptz '2026-01-01Z' + n * interval '1 minute', 1, 'A', "
            "'ok', 'schedule' FROM generate_series(1, 20000) n"
        )
        connection.execute("ANALYZE crawl_runs")
        for where in (
            "source = 'job-7' AND status = 'running'",
            "status = 'running' AND lease_until <= clock_timestamp()",
            "source = 'job-7' AND scheduled_at = '2026-01-01Z' AND trigger = 'schedule'",
            "source = 'job-7' AND scheduled_at >= timestamptz '2026-01-14Z'",
            "scheduled_at < timestamptz '2026-01-01 01:00Z' AND status <> 'running'",
        ):
            query = f"EXPLAIN SELECT * FROM crawl_runs WHERE {where}"  # noqa: S608 - the lines above
            plan = connection.execute(query).fetchall()
            assert "Seq Scan" not in str(plan), (where, plan)
