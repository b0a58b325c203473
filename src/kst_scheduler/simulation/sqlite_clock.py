"""SQLite's functions of time, by the virtual clock: what they call now is the node's time.

SQLite asks the operating system by itself. So a simulated connection has functions of the same
names, which let SQLite's own ones compute, and give them the time where they would ask for it.
"""

from __future__ import annotations

import atexit
import functools
import sqlite3
from datetime import datetime
from typing import Any, Final

from kst_scheduler.timezone import UTC

_BEFORE_TIME: Final = {
    "date": 0,
    "time": 0,
    "datetime": 0,
    "julianday": 0,
    "unixepoch": 0,
    "strftime": 1,
}
"""How many arguments stand before the time in each function (SQLite, "Date And Time Functions")."""
_CURRENT: Final = {"current_date": "date", "current_time": "time", "current_timestamp": "datetime"}


def use_virtual_time(connection: sqlite3.Connection) -> None:
    """Let the functions of time of a connection read the clock of ``datetime.now``."""
    for name in _BEFORE_TIME:
        # Deterministic, as SQLite takes its own ones for: a check or an index may use them.
        connection.create_function(name, -1, functools.partial(_ask, name), deterministic=True)
    for name, function in _CURRENT.items():
        connection.create_function(name, 0, functools.partial(_ask, function))


def _ask(name: str, *arguments: Any) -> Any:
    """Return what SQLite's own function returns."""
    before = _BEFORE_TIME[name]
    given = [*arguments[:before], *(arguments[before:] or ("now",))]
    if isinstance(given[before], str) and given[before].strip().lower() == "now":
        given[before] = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    question = f"SELECT {name}({', '.join('?' * len(given))})"
    return _own().execute(question, given).fetchone()[0]


@functools.cache
def _own() -> sqlite3.Connection:
    """Return a connection whose functions are SQLite's own."""
    connection = sqlite3.Connection(":memory:", check_same_thread=False)
    atexit.register(connection.close)
    return connection
