"""The engine for a ledger's URL: SQLAlchemy's, in autocommit mode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine

from kst_scheduler.errors import InvalidArgumentError, LedgerUnavailableError
from kst_scheduler.extras import require_extra

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

CONNECT_SECONDS: Final = 5.0
"""How long connecting may take; for SQLite, how long the lock of another process may last."""
CONNECTIONS: Final = {"sqlite": 1, "postgresql": 10}
"""How many a ledger holds. SQLite has one writer, for whom a second one would only wait; PostgreSQL
has 100 for everyone, unless told otherwise."""


def parse_url(url: str) -> URL:
    """Return a URL of a database that a ledger can use; its ``drivername`` is the database's.

    Raises:
        InvalidArgumentError: it cannot be read, or names another kind of database.

    """
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


def make_engine(url: URL) -> AsyncEngine:
    """Return an engine for a URL of ``parse_url``; it connects when it is first used.

    Raises:
        MissingExtraError: the database's driver is not installed.

    """
    with require_extra("ledger", f"a ledger in {url.drivername}"):
        return _ENGINES[url.drivername](url)


def find_folder(url: URL) -> None:
    """Name the folder of an SQLite file that is not there: SQLite only says "unable to open".

    Raises:
        LedgerUnavailableError: there is no such folder.

    """
    folder = Path(url.database or "").parent
    if url.drivername == "sqlite" and not folder.is_dir():
        raise LedgerUnavailableError(
            f"the ledger in {shown(url)} is unavailable: there is no folder {folder}"
        )


def shown(url: URL) -> str:
    """Return a URL as messages show it, without password and options."""
    return url.set(query={}).render_as_string()


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

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=CONNECTIONS["postgresql"],
        **_COMMON,
    )
    event.listen(engine.sync_engine, "checkout", _replace_if_closed)
    return engine


def _replace_if_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool connect again where the server has closed a connection, as in a restart.

    Unlike a ping before each statement, this asks nobody.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


_COMMON: Final[dict[str, Any]] = {
    "isolation_level": "AUTOCOMMIT",
    "pool_reset_on_return": None,  # there is no transaction to roll back
    "max_overflow": 0,
    "hide_parameters": True,  # an error shows no values
}
_ENGINES: Final = {"sqlite": _sqlite, "postgresql": _postgresql}
