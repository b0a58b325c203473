from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiosqlite
import pytest

from kst_scheduler import cron, kst, simulate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

DUE = kst(2026, 5, 10, 3)
WRITE = "insert into visits values (1)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a database of one table."""
    path = tmp_path / "visits.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("create table visits (number)")
    return path


def outcome(*jobs: Callable[[], Awaitable[object]], nodes: int = 1) -> list[Any]:
    """Run jobs side by side at 03:00; return what each returned or raised."""
    found: list[Any] = []

    async def job() -> None:
        found.extend(await asyncio.gather(*(each() for each in jobs), return_exceptions=True))

    runs = simulate(
        lambda scheduler: scheduler.add_job(job, cron(hour=3), id="job"),
        DUE,
        DUE + timedelta(minutes=5),
        nodes=nodes,
    ).runs
    assert set(runs["status"]) == {"ok"}
    return found


def writer(file: Path, hold: float, **options: Any) -> Callable[[], Awaitable[float]]:
    """Return a job that writes, keeps the lock, and returns how long it waited for it."""

    async def write() -> float:
        began = time.monotonic()
        async with aiosqlite.connect(file, **options) as database:
            await database.execute(WRITE)
            waited = time.monotonic() - began
            await asyncio.sleep(hold)
            await database.commit()
        return waited

    return write


def count(file: Path) -> int:
    """Return how many rows were written."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        (number,) = database.execute("select count(*) from visits").fetchone()
    return int(number)


def test_four_writers_take_turns(file: Path) -> None:
    """As in life, within its timeout of five seconds; a second look finds the same times."""
    waits = [outcome(*[writer(file, 0.005)] * 4) for _ in range(2)]
    assert waits[0] == waits[1]
    assert all(wait < 0.1 for wait in waits[0])
    assert count(file) == 8


def test_replicas_take_turns(file: Path) -> None:
    """The nodes share the file, and so its lock."""
    assert all(wait < 10 for wait in outcome(writer(file, 3), nodes=2))
    assert count(file) == 2


@pytest.mark.parametrize(
    "options", [{}, {"timeout": 30}, {"isolation_level": None}, {"timeout": 3.5}]
)
def test_a_lock_is_waited_for_in_virtual_time(file: Path, options: dict[str, Any]) -> None:
    """A lock that is held for three seconds is free before the timeout."""
    _, waited = outcome(writer(file, 3), writer(file, 0, **options))
    assert 3 <= waited <= 3.11
    assert count(file) == 2


@pytest.mark.parametrize(
    ("options", "pragma", "waits"),
    [
        ({"timeout": 1}, "", 1),
        ({"timeout": 0}, "", 0),
        ({"timeout": 0.2}, "", 0.2),
        ({}, "PRAGMA busy_timeout = 700", 0.7),
    ],
)
def test_the_wait_ends_with_the_timeout(
    file: Path, options: dict[str, Any], pragma: str, waits: float
) -> None:
    """And with SQLite's own error."""
    waited: list[float] = []

    async def refused() -> None:
        async with aiosqlite.connect(file, **options) as database:
            await database.execute(pragma)
            began = time.monotonic()
            try:
                await database.execute(WRITE)
            finally:
                waited.append(time.monotonic() - began)

    _, error = outcome(writer(file, 3), refused)
    assert str(error) == "database is locked"
    assert waited == [pytest.approx(waits, abs=0.02)]


def test_what_would_wait_for_ever_is_refused_at_once(file: Path) -> None:
    """Two that have read before they write: SQLite refuses the second one without a wait."""

    async def read_then_write(pause: float) -> str:
        async with aiosqlite.connect(file, isolation_level=None) as database:
            await database.execute("BEGIN")
            await (await database.execute("select count(*) from visits")).fetchall()
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                await database.execute(WRITE)
                await asyncio.sleep(1)
                await database.execute("COMMIT")
            except sqlite3.OperationalError as error:
                await database.rollback()
                return f"{error} after {time.monotonic() - began:.0f} s"
            return "ok"

    first, second = outcome(lambda: read_then_write(0), lambda: read_then_write(0.5))
    assert first == "ok"
    assert second == "database is locked after 0 s"


def test_a_commit_waits_for_readers(file: Path) -> None:
    """SQLite waits there, too, so that it ends when the last of them has read."""

    async def read() -> None:
        async with aiosqlite.connect(file, isolation_level=None) as database:
            await database.execute("BEGIN")
            await (await database.execute("select * from visits")).fetchall()
            await asyncio.sleep(2)
            await database.commit()

    async def write() -> float:
        began = time.monotonic()
        await writer(file, 0)()
        return time.monotonic() - began

    assert outcome(read, write)[1] == pytest.approx(2, abs=0.2)
    assert count(file) == 1


def test_many_rows_are_written_once(file: Path) -> None:
    """Also where they are handed over one by one, and the first try is refused."""

    async def write() -> None:
        async with aiosqlite.connect(file) as database:
            await database.executemany(WRITE.replace("1", "?"), ((row,) for row in range(10)))
            await database.commit()

    outcome(writer(file, 1), write)
    assert count(file) == 11


def test_threads_wait_as_coroutines_do(file: Path) -> None:
    """Plain sqlite3 in a thread; ``with`` commits, which waits for the reader."""

    def write() -> None:
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute(WRITE)
            time.sleep(1)

    outcome(*[lambda: asyncio.to_thread(write)] * 4)
    assert count(file) == 4
