"""Which errors say that a database is away, full, locked or slow, and not that we are wrong.

The former are worth a retry, and become LedgerUnavailableError; the latter are bugs, and pass.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SqlalchemyTimeoutError

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.redaction import without_passwords

if TYPE_CHECKING:
    from collections.abc import Iterator

_SQLITE: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}
"""Primary result codes (sqlite.org/rescode.html)."""

_POSTGRESQL: Final = ("08", "28", "3D", "40", "53", "55P03", "57", "58", "25006")
"""How an SQLSTATE begins (PostgreSQL, Appendix A): connections, refused logins, no such database,
rollbacks by the server, full disks and memory, locks, shutdowns, system errors, and a server that
became a standby, on which one can only read."""

_DOWN: Final = ("57P01", "57P02", "57P03", "53100", sqlite3.SQLITE_FULL)
"""Shut down, crashed, starting or stopping, disk full; and SQLite's disk full."""


@contextlib.contextmanager
def outages(where: str) -> Iterator[None]:
    """Raise LedgerUnavailableError in place of what says that a database is unavailable.

    ``where`` is the database's URL without its password.
    """
    try:
        yield
    except Exception as error:
        if not is_outage(error):
            raise
        message = f"the ledger in {where} {_why(error)}"
        raise LedgerUnavailableError(message, is_down=is_down(error)) from error


def is_outage(error: BaseException | None) -> bool:
    """Return whether an error of SQLAlchemy or of a driver says that a database is unavailable."""
    if isinstance(error, DBAPIError):
        cause = error.orig and error.orig.__cause__  # asyncpg's own, which SQLAlchemy translates
        return error.connection_invalidated or is_outage(error.orig) or is_outage(cause)
    code = error_code(error)
    if isinstance(code, int):
        return code in _SQLITE
    return (
        isinstance(error, (OSError, SqlalchemyTimeoutError))
        or code.startswith(_POSTGRESQL)
        or _is_about_a_connection(error)
    )


def is_down(error: BaseException | None) -> bool:
    """Return whether a database answered that it takes nobody's write, or nothing listens there.

    A server that became a standby is not down: another one may be the primary already.
    """
    if isinstance(error, DBAPIError):
        return is_down(error.orig) or is_down(error.orig and error.orig.__cause__)
    return isinstance(error, ConnectionRefusedError) or error_code(error) in _DOWN


def error_code(error: BaseException | None) -> int | str:
    """Return SQLite's primary result code, or PostgreSQL's SQLSTATE; "" where there is neither."""
    if isinstance(error, DBAPIError):
        cause = error.orig and error.orig.__cause__
        return error_code(error.orig) or error_code(cause)
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF
    return getattr(error, "sqlstate", None) or ""


def is_locked(error: DBAPIError) -> bool:
    """Return whether another connection to the SQLite file is in the way."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _is_about_a_connection(error: BaseException | None) -> bool:
    """Return whether asyncpg itself complains: about a connection that the server is closing."""
    if not type(error).__module__.startswith("asyncpg"):
        return False
    import asyncpg  # noqa: PLC0415 - not needed for SQLite

    return isinstance(error, (asyncpg.InterfaceError, asyncpg.InternalClientError))


def _why(error: Exception) -> str:
    if isinstance(error, (TimeoutError, SqlalchemyTimeoutError)):
        return "did not answer in time"
    reason = error.orig if isinstance(error, DBAPIError) else error
    return f"is unavailable: {without_passwords(reason)}"
