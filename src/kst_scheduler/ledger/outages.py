"""Which errors say that a database is away, full, locked or slow, and not that we are wrong.

The former are worth a retry, and become LedgerUnavailableError; the latter are bugs, and pass.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnectionError

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


@contextlib.contextmanager
def outages(where: str) -> Iterator[None]:
    """Raise LedgerUnavailableError in place of what says that a database is unavailable.

    ``where`` is the database's URL without its password.
    """
    try:
        yield
    except (TimeoutError, NoFreeConnectionError) as error:
        raise LedgerUnavailableError(f"the ledger in {where} did not answer in time") from error
    except OSError as error:
        raise LedgerUnavailableError(_message(where, error)) from error
    except DBAPIError as error:
        if not is_outage(error):
            raise
        raise LedgerUnavailableError(_message(where, error.orig)) from error


def is_outage(error: DBAPIError) -> bool:
    """Return whether an error of the driver says that the database is unavailable."""
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE
    return (getattr(error.orig, "sqlstate", None) or "").startswith(_POSTGRESQL)


def _message(where: str, error: BaseException | None) -> str:
    return f"the ledger in {where} is unavailable: {without_passwords(error)}"
