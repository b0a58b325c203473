"""A SQLite database in memory that is closed with the object to which it belongs."""

from __future__ import annotations

import sqlite3
import weakref


def connect_in_memory(owner: object) -> sqlite3.Connection:
    """Open an empty database for an object, which need not be closed: Python 3.13 warns of others.

    The object may be let go in another thread than this one.
    """
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    weakref.finalize(owner, connection.close)
    return connection
