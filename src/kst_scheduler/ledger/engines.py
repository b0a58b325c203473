"""The engine for a ledger's URL: SQLAlchemy's, in autocommit mode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from kst_scheduler.errors import InvalidArgumentError, LedgerUnavailableError
from kst_scheduler.extras import require_extra
from kst_scheduler.ledger.connection_string import (
    EXAMPLE,
    UNREADABLE,
    ConnectionString,
    read_connection_string,
)

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncEngine

    Address = URL | ConnectionString

CONNECT_SECONDS: Final = 5.0
"""How long connecting may take; for SQLite, how long the lock of another process may last."""
ALL_HOSTS_SECONDS: Final = 9.0
"""How long connecting may take when the connection string has several hosts, or a timeout of its
own: less than a statement may take with it (database.STATEMENT_SECONDS)."""
LEDGER_CONNECTIONS: Final = {"sqlite": 1, "postgresql": 10}
"""How many a ledger holds. SQLite has one writer, for whom a second one would only wait; PostgreSQL
has 100 for everyone, unless told otherwise."""


def parse_url(url: str) -> Address:
    """Return the address of a database that a ledger can use; its ``drivername`` is the database's.

    Raises:
        InvalidArgumentError: it cannot be read, names another kind of database, or has a parameter
            that cannot be honoured.

    """
    scheme = url.partition("://")[0].split("+")[0]  # the driver is the ledger's choice
    if scheme in {"postgresql", "postgres"} and "://" in url:
        return read_connection_string(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # Where the password stands in a URL that cannot be read, nobody knows.
        raise InvalidArgumentError(UNREADABLE) from error
    backend = parsed.drivername.split("+")[0]
    if backend != "sqlite":
        raise InvalidArgumentError(
            f"a ledger cannot use {parsed.drivername}; write sqlite:///folder/ledger.db or "
            f"{EXAMPLE}"
        )
    if parsed.database in {None, "", ":memory:"}:
        raise InvalidArgumentError(
            f"{url} is no file, and another process could not read it; write "
            "sqlite:///folder/ledger.db, or MemoryLedger() for a ledger in memory"
        )
    return parsed.set(drivername=backend)


def make_engine(url: Address, connections: int) -> AsyncEngine:
    """Return an engine for a URL of ``parse_url``; it connects when it is first used.

    ``connections`` is how many it holds at most.

    Raises:
        MissingExtraError: the database's driver is not installed.

    """
    with require_extra("ledger", f"a ledger in {url.drivername}"):
        if isinstance(url, ConnectionString):
            return _postgresql(url, connections)
        return _sqlite(url, connections)


def find_folder(url: Address) -> None:
    """Name the folder of an SQLite file that is not there: SQLite only says "unable to open".

    Raises:
        LedgerUnavailableError: there is no such folder.

    """
    if isinstance(url, ConnectionString):
        return
    folder = Path(url.database or "").parent
    if not folder.is_dir():
        raise LedgerUnavailableError(
            f"the ledger in {shown(url)} is unavailable: there is no folder {folder}"
        )


def shown(url: Address) -> str:
    """Return an address as messages show it, without password and options."""
    if isinstance(url, ConnectionString):
        return url.shown()
    return url.set(query={}).render_as_string()


def _sqlite(url: URL, connections: int) -> AsyncEngine:
    return create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        connect_args={"timeout": CONNECT_SECONDS},
        pool_size=connections,
        **_COMMON,
    )


def _postgresql(address: ConnectionString, connections: int) -> AsyncEngine:
    import asyncpg  # noqa: PLC0415 - not needed for SQLite

    hosts = address.for_asyncpg()
    limit = ALL_HOSTS_SECONDS / len(hosts)

    async def connect() -> asyncpg.Connection:
        for number, host in enumerate(hosts, 1):
            timeout = min(host.get("timeout", CONNECT_SECONDS), limit)
            try:
                return await asyncpg.connect(**host | {"timeout": timeout})
            # As libpq does: where a host refuses the password, no other one is tried.
            except (
                OSError,
                asyncpg.CannotConnectNowError,
                asyncpg.TargetServerAttributeNotMatched,
            ):
                if number == len(hosts):
                    raise
        raise AssertionError

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=connections,
        **_COMMON,
    )


_COMMON: Final[dict[str, Any]] = {
    "isolation_level": "AUTOCOMMIT",
    "pool_reset_on_return": None,  # there is no transaction to roll back
    "max_overflow": 0,
    "hide_parameters": True,  # an error shows no values
}
