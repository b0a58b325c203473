"""A database, reached by single statements that are waited for so long and no longer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from sqlalchemy import CursorResult
from sqlalchemy.exc import OperationalError

from kst_scheduler.errors import KSTSchedulerError
from kst_scheduler.ledger.engines import (
    CONNECT_SECONDS,
    LEDGER_CONNECTIONS,
    find_folder,
    make_engine,
    parse_url,
    shown,
)
from kst_scheduler.ledger.outages import is_locked, outages
from kst_scheduler.ledger.schema import create_or_upgrade, is_current
from kst_scheduler.ledger.sessions import Sessions, has_done_nothing, has_ended_session
from kst_scheduler.time_limit import time_limit

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sqlalchemy import Executable
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.sql.compiler import SQLCompiler

STATEMENT_SECONDS: Final = 10.0
"""How long a statement may take, the wait for a free connection included."""
UPGRADE_SECONDS: Final = 600.0
"""How long the tables of an older version may take: an index over millions of rows is built."""

Quick = Callable[[dict[str, Any]], Awaitable[Sequence[Any]]]
"""Runs one statement with parameters; returns its rows."""

_T = TypeVar("_T")


class Database:
    """Statements in autocommit mode: each is a transaction of its own.

    A connection that dies while a statement uses it fails that statement; the next one gets a new
    connection. A server that has become read-only fails none, where a new connection can write.
    """

    def __init__(self, url: str, connections: int | None = None) -> None:
        self._url = parse_url(url)
        self.dialect = self._url.drivername
        connections = connections or LEDGER_CONNECTIONS[self.dialect]
        self._engine = make_engine(self._url, connections)
        self._sessions = Sessions(self._engine)
        self.where = shown(self._url)
        """The URL without its password, for messages."""
        # A thousand waiters cost less here than in the engine's pool, before which each would stand
        # with a greenlet.
        self._turns = asyncio.Semaphore(connections)
        self._opened = False

    async def open(self) -> None:
        """Create the tables if they are not there."""
        find_folder(self._url)
        if not await self._limited(self._prepare):
            await self._limited(self._create, UPGRADE_SECONDS)
        self._opened = True

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

    async def run_script(self, script: str) -> None:
        """Run statements that have no parameters as one transaction, in one call of the driver.

        Between two calls a blocked event loop would hold what the first has locked: in SQLite, the
        whole file.
        """
        await self._in_turn(partial(self._run_by_driver, script))

    async def fetch_many(self, query: Executable) -> Sequence[Any]:
        """Run a query of any size; return its rows, and let others work while they are read."""
        if self.dialect == "postgresql":
            return await self.quick(query)({})  # asyncpg reads rows as they arrive

        async def read() -> list[Any]:
            rows: list[Any] = []
            async with self._engine.connect() as connection:
                for part in (await connection.execute(query)).partitions(1_000):
                    rows += part
                    await asyncio.sleep(0)
            return rows

        return await self._in_turn(read)

    def quick(self, statement: Executable) -> Quick:
        """Return a function that runs a statement, in PostgreSQL by the shortest way there is.

        SQLAlchemy compiles it once and keeps the connections, asyncpg runs it: half the work for a
        statement that every run of a job pays for. Parameters and rows are then what asyncpg takes
        and gives, past SQLAlchemy's types.
        """
        if self.dialect == "sqlite":
            return partial(self.fetch, statement)
        compiled = cast("SQLCompiler", statement.compile(dialect=self._engine.dialect))  # type: ignore[attr-defined]
        sql, names = str(compiled), compiled.positiontup or ()
        literals = {name: value for name, value in compiled.params.items() if value is not None}

        async def run(parameters: dict[str, Any]) -> Sequence[Any]:
            values = [literals[name] if name in literals else parameters[name] for name in names]
            return await self._in_turn(partial(self._fetch_by_driver, sql, values))

        return run

    async def _run(
        self,
        statement: Executable,
        parameters: dict[str, Any] | None,
        read: Callable[[CursorResult[Any]], _T],
    ) -> _T:
        async def execute() -> _T:
            async with self._engine.connect() as connection:
                return read(await connection.execute(statement, parameters))

        return await self._in_turn(execute)

    async def _fetch_by_driver(self, sql: str, values: list[Any]) -> Sequence[Any]:
        connection = await self._engine.raw_connection()
        try:
            rows: Sequence[Any] = await connection.driver_connection.fetch(sql, *values)  # type: ignore[union-attr]
        except BaseException:
            connection.invalidate()  # nobody knows in the middle of what it is
            raise
        connection.close()
        return rows

    async def _run_by_driver(self, script: str) -> None:
        connection = await self._engine.raw_connection()
        driver: Any = connection.driver_connection
        try:
            if self.dialect == "postgresql":
                await driver.execute(script)  # several statements are one transaction by themselves
            else:
                await driver.executescript(script)
        except BaseException:
            if self.dialect == "postgresql":
                connection.invalidate()  # nobody knows in the middle of what it is
            else:
                await driver.rollback()
                connection.close()
            raise
        connection.close()

    async def _prepare(self) -> bool:
        """Return whether the tables are there, and of this version."""
        async with self._engine.connect() as connection:
            if self.dialect == "sqlite":
                await _write_ahead(connection)
            return await connection.run_sync(is_current, self.where)

    async def _create(self) -> None:
        async with self._engine.connect() as connection:
            try:
                await connection.run_sync(create_or_upgrade, self.where)
            except BaseException:
                await connection.invalidate()  # what was begun is rolled back with it
                raise

    async def _in_turn(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        if not self._opened:
            raise KSTSchedulerError(
                f"the ledger in {self.where} is not open; write await ledger.open() before"
            )
        return await self._limited(work)

    async def _limited(
        self, work: Callable[[], Coroutine[Any, Any, _T]], seconds: float | None = None
    ) -> _T:
        with outages(self.where):
            async with time_limit(seconds or STATEMENT_SECONDS), self._turns:
                try:
                    return await self._once(work)
                except Exception as error:
                    if not has_ended_session(error):
                        raise
                    self._sessions.drop()
                    if not has_done_nothing(error):
                        raise
                return await self._once(work)

    async def _once(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        return await (_to_its_end(work()) if self.dialect == "sqlite" else work())


async def _write_ahead(connection: AsyncConnection) -> None:
    """Put an SQLite file into WAL mode, which it keeps: then a writer does not stop readers.

    SQLite waits for no lock here, so of two that do this at once, one has to try again.
    """
    give_up_at = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            await connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except OperationalError as error:
            if not is_locked(error) or time.monotonic() > give_up_at:
                raise
        else:
            return
        await asyncio.sleep(0.01)


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
