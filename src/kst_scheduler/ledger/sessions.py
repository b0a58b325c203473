"""Which of the pooled connections may still be used after a failover.

A connection outlives what it is connected to: a primary that was demoted keeps its sessions and
only reads, and a file of SQLite that was replaced is still open. One answer that says so is true
of every connection of that time:

    pool:         A1 A2 A3, all on server A
    server A:     demoted; from here on the name of the primary leads to server B
    a claim:      A1 answers 25006 | all so far are dropped | again, on B1
    a look:                                                 | A2 is closed, and B2 opened
"""

from __future__ import annotations

import itertools
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError

from kst_scheduler.ledger.outages import error_code

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_READ_ONLY: Final = "25006"
_POSTGRESQL: Final = (_READ_ONLY, "08", "57P")
"""How an SQLSTATE begins that says: read-only, no connection, shutting down or starting up."""
_SQLITE: Final = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}
"""Primary result codes that say: this is not the file, or not the file system, it was."""


class Sessions:
    """The connections of an engine, numbered in the order in which they began."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._numbers = itertools.count()
        self._first_valid = 0
        event.listen(engine.sync_engine, "connect", self._began)
        event.listen(engine.sync_engine, "checkout", self._check)

    def drop(self) -> None:
        """Let the pool replace each connection that there is when it is wanted next."""
        self._first_valid = next(self._numbers)

    def _began(self, _connection: object, record: Any) -> None:
        record.info["number"] = next(self._numbers)

    def _check(self, connection: Any, record: Any, _proxy: object) -> None:
        """Have the pool connect again where a connection was dropped, or the server closed it.

        Unlike a ping before each statement, this asks nobody.
        """
        is_closed = getattr(connection.driver_connection, "is_closed", bool)  # SQLite closes none
        if is_closed() or record.info["number"] < self._first_valid:
            raise DisconnectionError


def has_ended_session(error: BaseException) -> bool:
    """Return whether an error says that its connection, and others of that time, are useless."""
    code = error_code(error)
    return code in _SQLITE if isinstance(code, int) else code.startswith(_POSTGRESQL)


def has_done_nothing(error: BaseException) -> bool:
    """Return whether an error says so, so that its statement may be run again at once."""
    return error_code(error) == _READ_ONLY
