"""What the reader has solved, in one small SQLite file of theirs.

SQLite writes it all or not at all, and two windows of JupyterLab wait for each other.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE: Final = "KST_WORKBOOK_PROGRESS"
"""The environment variable that names the file; when it is empty, nothing is kept."""
VERSION: Final = 1

_SECONDS_TO_WAIT: Final = 5.0
"""For another window that writes just now."""
_WRITE: Final = (
    "INSERT INTO answers VALUES (?, ?) "
    "ON CONFLICT (exercise) DO UPDATE SET solved = max(solved, excluded.solved)"
)

_seen_here: dict[str, bool] = {}
"""What this kernel has seen: all there is when no file can be written."""


def progress_file() -> Path | None:
    """Return where progress is kept, in the user's folder for data; None for nowhere."""
    if (named := os.environ.get(VARIABLE)) is not None:
        return Path(named) if named else None
    return _data_folder() / "kst-scheduler" / "workbook-progress.sqlite3"


def note(number: str, *, solved: bool) -> list[str]:
    """Keep that an exercise was tried, or solved; once solved, it stays so.

    Returns what the reader should know: that the file cannot be written, or that it was broken and
    a new one begun.
    """
    _seen_here[number] = _seen_here.get(number, False) or solved
    return _synchronise()


def recorded_progress() -> tuple[dict[str, bool], list[str]]:
    """Return which exercises were tried, each with whether it is solved; and notes as ``note``."""
    notes = _synchronise()
    return dict(_seen_here), notes


def _synchronise() -> list[str]:
    """Bring what this kernel has seen into the file, and what others have seen from it."""
    file = progress_file()
    if file is None:
        return []
    note = ""
    try:
        try:
            _exchange(file)
        except sqlite3.OperationalError:  # it is well, but cannot be reached or written
            raise
        except sqlite3.DatabaseError as error:
            aside = _put_aside(file)
            note = (
                f"The file of your progress was broken ({error}). It is kept as {aside}, and a "
                "new one is begun."
            )
            _exchange(file)
    except (OSError, sqlite3.Error) as error:
        note = (
            f"Your progress cannot be kept in {file} ({error}). It lasts until the kernel ends; "
            f"the environment variable {VARIABLE} may name another file."
        )
    return [note] if note else []


def _exchange(file: Path) -> None:
    with _opened(file) as database:
        database.executemany(_WRITE, _seen_here.items())
        for number, solved in database.execute("SELECT exercise, solved FROM answers"):
            _seen_here[str(number)] = bool(solved)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Yield the database in a transaction, made if it is not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(file, timeout=_SECONDS_TO_WAIT, isolation_level=None)
    with contextlib.closing(database):
        database.execute("BEGIN IMMEDIATE")
        _make_tables(database)
        yield database
        database.execute("COMMIT")


def _make_tables(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version == 0 and tables == 0:
        database.execute("CREATE TABLE answers (exercise TEXT PRIMARY KEY, solved INT NOT NULL)")
        database.execute(f"PRAGMA user_version = {VERSION}")
    elif version != VERSION:
        raise sqlite3.DatabaseError(f"its version is {version}, not {VERSION}")


def _put_aside(file: Path) -> Path:
    """Rename a file that is no database of ours, and return its new name."""
    names = (file.with_name(f"{file.name}.broken-{number}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    file.replace(aside)
    return aside


def _data_folder() -> Path:
    """Return where this system keeps a user's data."""
    if named := os.environ.get("XDG_DATA_HOME"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if local := os.environ.get("LOCALAPPDATA"):
        return Path(local)
    return Path.home() / ".local" / "share"
