"""Exercise 9.1: A test of what a crawl stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kst_workbook.exercises.exercise import Right, exercise
from kst_workbook.exercises.judging import require_function
from kst_workbook.exercises.questions.tried_tests import call_plain, require_catches
from kst_workbook.scenes.memory_database import connect_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Row = tuple[str, int, str]
"""Month, number and name."""


class _Store:
    """A store without a key: it keeps each row that it gets."""

    def __init__(self) -> None:
        self.kept: list[Row] = []

    def write(self, rows: Iterable[Row]) -> None:
        """Store the rows of a crawl."""
        self.kept += rows

    def rows(self) -> list[Row]:
        """Return what is stored, sorted."""
        return sorted(self.kept)


class _Keyed(_Store):
    """An upsert by a key: month and number."""

    def write(self, rows: Iterable[Row]) -> None:
        """Keep the newest row of each key."""
        kept = {self.key(row): row for row in self.kept}
        self.kept = list((kept | {self.key(row): row for row in rows}).values())

    def key(self, row: Row) -> tuple[Any, ...]:
        """Return what makes two rows the same."""
        return row[:2]


class _InSQLite(_Store):
    """The upsert of 9.9, in SQLite."""

    def __init__(self) -> None:
        self._sqlite = connect_in_memory(self)
        self._sqlite.execute("CREATE TABLE stored (month, number, name, UNIQUE (month, number))")

    def write(self, rows: Iterable[Row]) -> None:
        """Insert each row, or update the name of the stored one."""
        self._sqlite.executemany(
            "INSERT INTO stored VALUES (?, ?, ?) "
            "ON CONFLICT (month, number) DO UPDATE SET name = excluded.name",
            list(rows),
        )

    def rows(self) -> list[Row]:
        """Return what is stored, sorted."""
        return self._sqlite.execute("SELECT * FROM stored ORDER BY 1, 2").fetchall()


class _Ignoring(_Keyed):
    def write(self, rows: Iterable[Row]) -> None:
        known = {self.key(row) for row in self.kept}
        super().write([row for row in rows if self.key(row) not in known])


class _OnlyUpdating(_Keyed):
    def write(self, rows: Iterable[Row]) -> None:
        known = {self.key(row) for row in self.kept}
        super().write([row for row in rows if not known or self.key(row) in known])


class _Emptied(_Keyed):
    def write(self, rows: Iterable[Row]) -> None:
        self.kept = []
        super().write(rows)


class _ByNumber(_Keyed):
    def key(self, row: Row) -> tuple[Any, ...]:
        return (row[1],)


class _ByMonth(_Keyed):
    def key(self, row: Row) -> tuple[Any, ...]:
        return row[0], row[2]


@dataclass(frozen=True)
class _Kind:
    """A kind of store on which the reader's test is tried."""

    what: str
    make: Callable[[], _Store]
    is_right: bool = False


KINDS: Final = (
    _Kind("a dict by month and number", _Keyed, is_right=True),
    _Kind("the upsert of 9.9, in SQLite", _InSQLite, is_right=True),
    _Kind("a store that inserts each row again", _Store),
    _Kind("a store that keeps the old name of a workplace", _Ignoring),
    _Kind("a store whose key is the number without the month", _ByNumber),
    _Kind("a store whose key is the name instead of the number", _ByMonth),
    _Kind("a store that deletes what it has before each crawl", _Emptied),
    _Kind("a store that adds no workplace after its first crawl", _OnlyUpdating),
)
"""Right ones first: a test that fails on these is told so before all else."""


@exercise(
    "9.1",
    title="A test of what a crawl stores",
    variable="test_store",
    hints=(
        "Call `store.write(...)` twice. The second crawl finds some rows again.",
        "What may differ in the second crawl? A name, the month, a workplace that is new.",
        "Compare all of `sorted(store.rows())` with what must be there in the end.",
    ),
    solution="""
        def test_store(store):
            store.write([("202603", 7, "Hanbit"), ("202604", 7, "Hanbit")])
            store.write([("202604", 7, "Saeron"), ("202604", 8, "Narae")])
            assert sorted(store.rows()) == [
                ("202603", 7, "Hanbit"),
                ("202604", 7, "Saeron"),
                ("202604", 8, "Narae"),
            ]
    """,
    link="https://www.postgresql.org/docs/current/sql-insert.html#SQL-ON-CONFLICT",
)
def a_test_of_a_store(answer: Any) -> Right:
    """Run the reader's test on stores that upsert, and on stores with a fault."""
    test = require_function(answer, "test_store", "store")
    faults = require_catches(
        "test_store", lambda kind: call_plain("test_store", test, kind.make()), KINDS
    )
    return Right(
        f"It passes on both stores that are right, and fails on all {faults} that have a fault. "
        "Such a test belongs beside every job that may run twice."
    )
