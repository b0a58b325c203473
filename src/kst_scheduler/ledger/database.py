"""A database, reached by single statements that are waited for so long and no longer."""

from __future__ import annotations

import asyncio
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import CursorResult, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import greenlet_spawn

from kst_scheduler.errors import (
    InvalidArgumentError,
    KSTSchedulerError,
    LedgerUnavailableError,
    MissingExtraError,
)
from kst_scheduler.ledger.outages import outages
from kst_scheduler.ledger.schema import check_version, create

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from sqlalchemy import URL, Engine, Executable
    from sqlalchemy.ext.asyncio import AsyncEngine

STATEMENT_SECONDS: Final = 10.0
"""How long a statement may take, the wait for a free connection included."""
CONNECT_SECONDS: Final = 5.0
"""How long connecting may take; for SQLite, how long the lock of another process may last."""
CONNECTIONS: Final = {"sqlite": 1, "postgresql": 10}
"""How many a ledger holds. SQLite has one writer, for whom a second one would only wait; PostgreSQL
has 100 for everyone, unless told otherwise."""

_T = TypeVar("_T")


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
        await self._in_turn(self._create)
        self._opened = True

    def _find_folder(self) -> None:
        """Name a missing folder: SQLite only says "unable to open database file"."""
        folder = Path(self._engine.url.database or "").parent
        if self.dialect == "sqlite" and not folder.is_dir():
            raise LedgerUnavailableError(
                f"the ledger in {self.where} is unavailable: there is no folder {folder}"
            )

    async def _create(self) -> None:
        async with self._engine.connect() as connection:
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
        return await self._run(statement, parameters, CursorResult.all)

    async def write(self, statement: Executable, parameters: dict[str, Any]) -> int:
        """Run a statement; return how many rows it wrote."""
        return await self._run(statement, parameters, attrgetter("rowcount"))

    async def fetch_many(self, query: Executable) -> list[Any]:
        """Run a query of any size; return its rows, and let others work while they are read."""

        async def read() -> list[Any]:
            rows: list[Any] = []
            async with self._engine.connect() as connection:
                for part in (await connection.execute(query)).partitions(1_000):
                    rows += part
                    await asyncio.sleep(0)
            return rows

        self._must_be_open()
        return await self._in_turn(read)

    async def _run(
        self,
        statement: Executable,
        parameters: dict[str, Any] | None,
        read: Callable[[CursorResult[Any]], _T],
    ) -> _T:
        self._must_be_open()
        # What AsyncConnection does for each of connect, execute and close, once for all of them: a
        # fifth less work for a statement. Not documented; checked on SQLAlchemy 2.1.9.
        engine = self._engine.sync_engine
        work = partial(greenlet_spawn, _execute, engine, statement, parameters, read)
        return await self._in_turn(work)

    async def _in_turn(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        with outages(self.where):
            async with asyncio.timeout(STATEMENT_SECONDS), self._turns:
                return await (work() if self.dialect == "postgresql" else _to_its_end(work()))

    def _must_be_open(self) -> None:
        if not self._opened:
            raise KSTSchedulerError(
                f"the ledger in {self.where} is not open; write await ledger.open() before"
            )


async def _to_its_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Wait for a statement that cannot be cut, and be cancelled after it.

    It runs on in SQLite's thread. To drop its connection would leave its cursor, and with it the
    lock on the whole file, to the garbage collector.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=CONNECT_SECONDS)
        raise


def _execute(
    engine: Engine,
    statement: Executable,
    parameters: dict[str, Any] | None,
    read: Callable[[CursorResult[Any]], _T],
) -> _T:
    with engine.connect() as connection:
        return read(connection.execute(statement, parameters))


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
    import asyncpg  # noqa: PLC0415 - not needed for SQLite

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
