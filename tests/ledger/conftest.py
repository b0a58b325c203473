"""One suite over every store: memory, SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from kst_scheduler.ledger import MemoryLedger, SqlLedger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kst_scheduler.servers.embedded import EmbeddedServer
    from ledgers import NewLedger


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def _ledger_database(_postgres: EmbeddedServer) -> str:
    """Return a database that keeps its tables from test to test: creating them takes a while."""
    with psycopg.connect(_postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ledgers")
    return _postgres.url.removesuffix("postgres") + "ledgers"


@pytest.fixture
def emptied_url(_ledger_database: str) -> Iterator[str]:
    """Return the URL of a PostgreSQL ledger without rows."""
    yield _ledger_database
    with psycopg.connect(_ledger_database, autocommit=True) as connection:
        connection.execute("DELETE FROM crawl_runs")
        connection.execute("DELETE FROM crawl_sources")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def new_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> NewLedger:
    """Return a maker of ledgers of one store."""
    if request.param == "memory":
        ledger = MemoryLedger()
        return lambda: ledger
    if request.param == "sqlite":
        return lambda: SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    url = request.getfixturevalue("emptied_url")
    return lambda: SqlLedger(url)
