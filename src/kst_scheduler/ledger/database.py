"""A database, reached by single statements that are waited for so long and no longer."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from kst_scheduler.errors import (
    InvalidArgumentError,
    KSTSchedulerError,
    LedgerUnavailableError,
    MissingExtraError,
)
from kst_scheduler.ledger.outages import outages
from kst_scheduler.ledger.schema import check_version, create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import URL, Executable
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

STATEMENT_SECONDS: Final = 10.0
"""How long a statement may take, the wait for a free connection included."""
CONNECT_SECONDS: Final = 5.0
"""How long connecting may take; for SQLite, how long the lock of another process may last."""
CONNECTIONS: Final = {"sqlite": 1, "postgresql": 10}
"""How many a ledger holds. SQLite has one writer, for whom a second one would only wait; PostgreSQL
has 100 for everyone, unless told otherwise."""


class Database:
    """An engine in autocommit mode: each statement is a transaction of its own.

    A connection that has died is noticed by the statement that meets it, which fails; the next one
    gets a new connection.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self.dialect = parsed.drivername
        self.where = parsed.set(query={}).render_as_string()
        """The URL without its password, for messages."""
        try:
            self._engine = _ENGINES[self.dialect](parsed)
        except ImportError as error:
            raise MissingExtraError(
                f"a ledger in {self.dialect} needs a driver that is not installed; "
                "write pip install 'kst-scheduler[ledger]'"
            ) from error
        # A thousand waiters cost less here than in the engine's pool, before which each would stand
        # with a greenlet.
        self._turns = asyncio.Semaphore(CONNECTIONS[self.dialect])
        self._opened = False

    async def open(self) -> None:
        """Create the tables if they are not there."""
        self._find_folder()
        with outages(self.where):
            async with asyncio.timeout(STATEMENT_SECONDS), self._engine.connect() as connection:
                await self._create(connection)
        self._opened = True

    def _find_folder(self) -> None:
        """Name a missing folder: SQLite only says "unable to open database file"."""
        folder = Path(self._engine.url.database or "").parent
        if self.dialect == "sqlite" and not folder.is_dir():
            raise LedgerUnavailableError(
                f"the ledger in {self.where} is unavailable: there is no folder {folder}"
            )

    async def _create(self, connection: AsyncConnection) -> None:
        if self.dialect == "sqlite":
            # With it, a writer does not stop readers; the file remembers it.
            await connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        if await connection.run_sync(check_version, self.where):
            return
        try:
            await connection.run_sync(create, self.where)
        except BaseException:
            await connection.invalidate()  # what was begun is rolled back with it
            raise

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    async def fetch(
        self, statement: Executable, parameters: dict[str, Any] | None = None
    ) -> Sequence[Any]:
        """Run a statement; return its rows."""
        async with self._connection() as connection:
            return (await connection.execute(statement, parameters)).all()

    async def fetch_many(self, query: Executable) -> list[Any]:
        """Run a query of any size; return its rows, and let others work while they are read."""
        rows: list[Any] = []
        async with self._connection() as connection:
            for part in (await connection.execute(query)).partitions(1_000):
                rows += part
                await asyncio.sleep(0)
        return rows

    async def write(self, statement: Executable, parameters: dict[str, Any]) -> int:
        """Run a statement; return how many rows it wrote."""
        async with self._connection() as connection:
            return (await connection.execute(statement, parameters)).rowcount

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        if not self._opened:
            raise KSTSchedulerError(
                f"the ledger in {self.where} is not open; write await ledger.open() before"
            )
        with outages(self.where):
            async with asyncio.timeout(STATEMENT_SECONDS), self._turns:
                # Not `async with`: it would close the connection in a task of its own, and there
                # is nothing to wait for.
                connection = await self._engine.connect()
                try:
                    yield connection
                finally:
                    await connection.close()


def _parse(url: str) -> URL:
    """Return a URL of a database that a ledger can use, without a driver in its name."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # Where the password stands in a URL that cannot be read, nobody knows.
        raise InvalidArgumentError(
            "the ledger's URL cannot be read; write sqlite:///folder/ledger.db or "
            "postgresql://user:password@host:5432/database, with %40 for an @ in the password"
        ) from error
    backend = parsed.drivername.split("+")[0]  # the driver is the ledger's choice
    backend = "postgresql" if backend == "postgres" else backend
    if backend not in _ENGINES:
        raise InvalidArgumentError(
            f"a ledger cannot use {parsed.drivername}; write sqlite:///folder/ledger.db or "
            "postgresql://user:password@host:5432/database"
        )
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise InvalidArgumentError(
            f"{url} is no file, and another process could not read it; write "
            "sqlite:///folder/ledger.db, or MemoryLedger() for a ledger in memory"
        )
    return parsed.set(drivername=backend)


def _sqlite(url: URL) -> AsyncEngine:
    return create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        connect_args={"timeout": CONNECT_SECONDS},
        pool_size=CONNECTIONS["sqlite"],
        **_COMMON,
    )


def _postgresql(url: URL) -> AsyncEngine:
    import asyncpg  # type: ignore[import-untyped] # noqa: PLC0415 - not needed for SQLite

    # asyncpg reads the URL as libpq does, so that ?sslmode=require means what it means elsewhere.
    dsn = url.render_as_string(hide_password=False)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=CONNECTIONS["postgresql"],
        **_COMMON,
    )


_COMMON: Final[dict[str, Any]] = {
    "isolation_level": "AUTOCOMMIT",
    "pool_reset_on_return": None,  # there is no transaction to roll back
    "max_overflow": 0,
    "hide_parameters": True,  # an error shows no values
}
_ENGINES: Final = {"sqlite": _sqlite, "postgresql": _postgresql}
