"""The queue after a failover: its sessions are on a server that was demoted, new ones are not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException

from in_loop import in_loop
from kst_scheduler.distributed import task_app
from kst_scheduler.distributed.outages import is_outage
from kst_scheduler.distributed.queue import TaskQueue
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from procrastinate import App


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """Start a PostgreSQL of this test's own, whose settings are changed."""
    with EmbeddedServer(Postgres()) as server:
        yield server


async def wait_until_read_only(app: App) -> None:
    """Wait until a session in the pool only reads; past the pool, which would replace it."""
    (connection,) = app.connector.pool._pool  # type: ignore[attr-defined]
    for _ in range(1_000):
        row = await (await connection.execute("SHOW transaction_read_only")).fetchone()
        if row == ("on",):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the session did not become read-only")


@in_loop
async def test_the_queue_heals_by_itself(server: EmbeddedServer) -> None:
    """A session that only reads is replaced before it is used."""
    async with task_app(server.url).open_async() as app:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("ALTER ROLE postgres SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.execute("SELECT pg_reload_conf()")
        await wait_until_read_only(app)
        async with asyncio.timeout(60):
            await app.connector.execute_query_async("CREATE TABLE written ()")


@in_loop
async def test_a_server_that_only_reads_takes_no_task(server: EmbeddedServer) -> None:
    """A probe says so, though all can be read."""
    async with task_app(server.url).open_async() as app:
        await TaskQueue(app).prove_usable()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.execute("SELECT pg_reload_conf()")
        await wait_until_read_only(app)
        with pytest.raises(LedgerUnavailableError, match="read-only"):
            await TaskQueue(app).prove_usable()


def test_a_server_that_only_reads_is_away() -> None:
    """What it refuses is tried again, and is no fault of the task."""
    error = ConnectorException()
    error.__cause__ = psycopg.errors.ReadOnlySqlTransaction("a standby")
    assert is_outage(error)
