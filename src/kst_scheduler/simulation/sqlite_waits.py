"""SQLite's wait for a lock, in virtual time: the lock's holder continues meanwhile.

SQLite itself would sleep in the one real thread that all simulated threads share.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.simulation.sqlite_clock import use_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PAUSES: Final = (1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100)
"""Milliseconds between SQLite's tries, the last for good (main.c, sqliteDefaultBusyCallback)."""
_BEGINS: Final = ("begin", "savepoint")
_ENDS: Final = ("commit", "end")


class WaitingConnection(sqlite3.Connection):
    """A connection that waits for a lock by ``time.sleep``, which a simulation replaces.

    ``executescript`` does not wait: what of the script is done would be done again.
    """

    has_read = False
    """Whether its transaction has begun to read: SQLite then waits for no lock but a commit's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        use_virtual_time(self)
        self.take_timeout()

    def take_timeout(self) -> None:
        """Take over SQLite's own wait, in milliseconds, and leave SQLite none."""
        (self.timeout,) = super().execute("PRAGMA busy_timeout").fetchone()
        super().execute("PRAGMA busy_timeout = 0")

    def cursor(self, factory: Any = None) -> Any:
        """Return a cursor that waits, too, unless its class is the reader's own."""
        return super().cursor(_WaitingCursor if factory is None else factory)

    def execute(self, *args: Any) -> Any:
        """Execute by a cursor, as the original does."""
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> Any:
        """Execute by a cursor, as the original does."""
        return self.cursor().executemany(*args)

    def commit(self) -> None:
        """Commit; SQLite waits for readers there, also in a transaction that has read."""
        self.retry_while_busy(super().commit, may_wait=True)
        self.has_read = False

    def rollback(self) -> None:
        """Roll back."""
        super().rollback()
        self.has_read = False

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> Any:  # noqa: PYI036
        if kind is not None:
            return super().__exit__(kind, *rest)
        try:
            self.commit()
        except sqlite3.Error:
            self.rollback()
            raise
        return False

    def retry_while_busy(self, method: Callable[..., Any], *args: Any, may_wait: bool) -> Any:
        """Call a method again and again while the lock is not free, for ``timeout`` ms."""
        pauses, changes = _pauses(self.timeout), self.total_changes
        while True:
            try:
                return method(*args)
            except sqlite3.OperationalError as error:
                is_refused = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
                if not (is_refused and may_wait and self.total_changes == changes):
                    raise
                pause = next(pauses, None)
                if pause is None:
                    raise
            time.sleep(pause)


class _WaitingCursor(sqlite3.Cursor):
    connection: WaitingConnection

    def execute(self, sql: str, *args: Any) -> Any:
        return self._retry(super().execute, sql, *args)

    def executemany(self, sql: str, rows: Any, /) -> Any:
        return self._retry(super().executemany, sql, list(rows))

    def _retry(self, method: Callable[..., Any], sql: str, *args: Any) -> Any:
        database, words = self.connection, str(sql).lstrip().lower()
        may_wait = not database.has_read or words.startswith(_ENDS)
        done = database.retry_while_busy(method, sql, *args, may_wait=may_wait)
        database.has_read = database.in_transaction and not words.startswith(_BEGINS)
        if words.startswith("pragma") and "busy_timeout" in words:
            database.take_timeout()
        return done


def _pauses(left: int) -> Iterator[float]:
    """Yield how many seconds SQLite sleeps between two tries, ``left`` milliseconds in all."""
    for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
        if left <= 0:
            return
        yield min(pause, left) / 1000
        left -= pause
