from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from in_loop import in_loop
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import SqlLedger, database, engines
from kst_scheduler.ledger.outages import is_locked
from ledgers import occurrence, opened, outcome, request

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.exc import DBAPIError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a ledger is going to be."""
    return tmp_path / "ledger.db"


def limit_pages(ledger: SqlLedger, pages: int) -> None:
    """Let the ledger's file have so many pages: for SQLite, the disk is full then."""

    def limit(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(ledger._database._engine.sync_engine, "connect", limit)


def query(file: Path, statement: str) -> list[Any]:
    """Return what SQLite itself answers."""
    connection = sqlite3.connect(file)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


@in_loop
async def test_readers_are_not_stopped_by_a_writer(file: Path) -> None:
    """The file is in WAL mode."""
    async with opened(SqlLedger(f"sqlite:///{file}")) as ledger:
        writer = sqlite3.connect(file, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        assert await ledger.rows() == []
        writer.close()
    assert query(file, "PRAGMA journal_mode") == [("wal",)]


@in_loop
async def test_two_that_create_the_file_at_once_wait_for_each_other(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite refuses WAL mode while another process has the lock, at times without a wait."""
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 0.05)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    refused: list[bool] = []

    def release(error: DBAPIError) -> bool:
        if not refused:
            other.execute("ROLLBACK")
        refused.append(is_locked(error))
        return refused[-1]

    monkeypatch.setattr(database, "is_locked", release)
    async with opened(SqlLedger(f"sqlite:///{file}")) as ledger:
        assert await ledger.rows() == []
    other.close()
    assert refused == [True]


@in_loop
async def test_a_lock_that_lasts_is_named_at_the_start(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is not waited for until a statement's own limit."""
    for module in (engines, database):
        monkeypatch.setattr(module, "CONNECT_SECONDS", 0.05)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ledger = SqlLedger(f"sqlite:///{file}")
    with pytest.raises(LedgerUnavailableError, match="is unavailable: database is locked"):
        await ledger.open()
    await ledger.close()
    other.close()


@in_loop
async def test_a_full_disk_is_named_and_nothing_is_half_written(file: Path) -> None:
    """What was written before it stands; with room again, the ledger goes on."""
    ledger = SqlLedger(f"sqlite:///{file}")
    limit_pages(ledger, 16)
    await ledger.open()
    written = 0

    async def fill() -> None:
        nonlocal written
        while True:
            await ledger.record_missed(occurrence(written), "late" * 100, "A")
            written += 1

    with pytest.raises(LedgerUnavailableError, match=r"/ledger.db is unavailable: .* full"):
        await fill()
    assert 10 < written < 1_000
    assert len(await ledger.rows()) == written
    assert query(file, "PRAGMA integrity_check") == [("ok",)]
    await ledger.close()
    async with opened(SqlLedger(f"sqlite:///{file}")) as roomy:
        assert await roomy.record_missed(occurrence(written), "late", "A")


@in_loop
async def test_a_disk_that_is_full_at_once_leaves_no_table(file: Path) -> None:
    """The schema is created as a whole or not at all."""
    ledger = SqlLedger(f"sqlite:///{file}")
    limit_pages(ledger, 4)
    with pytest.raises(LedgerUnavailableError, match="full"):
        await ledger.open()
    await ledger.close()
    assert query(file, "SELECT * FROM sqlite_master") == []
    async with opened(SqlLedger(f"sqlite:///{file}")) as roomy:
        assert await roomy.rows() == []


@in_loop
async def test_a_lock_that_lasts_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that writes for too long makes the ledger unavailable, not broken."""
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 0.05)
    async with opened(SqlLedger(f"sqlite:///{file}")) as ledger:
        claim = await ledger.claim(request())
        writer = sqlite3.connect(file, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailableError, match="is unavailable: database is locked"):
            await ledger.finish(claim, outcome())
        writer.close()
        assert await ledger.finish(claim, outcome())


@in_loop
async def test_a_cancelled_write_leaves_no_lock(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, so that its cursor does not keep the file until it is collected."""
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 0.05)
    async with (
        opened(SqlLedger(f"sqlite:///{file}")) as ledger,
        opened(SqlLedger(f"sqlite:///{file}")) as other,
    ):
        errors: list[object] = []  # their tracebacks hold what was in use
        for number in range(40):
            claim = asyncio.create_task(ledger.claim(request(occurrence(job_id=str(number)))))
            await asyncio.sleep(number * 0.000_1)
            claim.cancel()
            errors += await asyncio.gather(claim, return_exceptions=True)
            assert await other.record_missed(occurrence(number), "late", "A")


@in_loop
async def test_a_long_answer_lets_others_work(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop turns after each thousand rows."""
    turns = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        turns.append(seconds)
        await sleep(seconds)

    async with opened(SqlLedger(f"sqlite:///{file}")) as ledger:
        fill = (
            "INSERT INTO crawl_runs (source, scheduled_at, attempt, instance, status, trigger) "
            "VALUES (?, '2026-05-09 18:00:00.000000', 0, 'A', 'missed', 'schedule')"
        )
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            connection.executemany(fill, [(str(number),) for number in range(2_500)])
        monkeypatch.setattr(asyncio, "sleep", counted)
        assert len(await ledger.history()) == len(await ledger.rows()) == 2_500
    assert turns == [0] * 6


@in_loop
async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """SQLite would only say that it is unable to open the file."""
    ledger = SqlLedger(f"sqlite:///{tmp_path}/nowhere/ledger.db")
    with pytest.raises(
        LedgerUnavailableError, match=r"is unavailable: there is no folder /.*/nowhere$"
    ):
        await ledger.open()
    await ledger.close()


def test_a_file_that_is_no_database_is_named(file: Path) -> None:
    """It is left as it is."""
    file.write_text("notes\n" * 1_000)

    async def refused() -> None:
        ledger = SqlLedger(f"sqlite:///{file}")
        with pytest.raises(LedgerUnavailableError, match="file is not a database"):
            await ledger.open()
        await ledger.close()

    asyncio.run(refused())
    assert file.read_text() == "notes\n" * 1_000


@in_loop
async def test_times_are_readable_text_in_utc(file: Path) -> None:
    """A reader with sqlite3 sees them as SQL does, all of one length, so that they sort."""
    async with opened(SqlLedger(f"sqlite:///{file}")) as ledger:
        await ledger.claim(request())
    ((scheduled_at, lease_until),) = query(file, "SELECT scheduled_at, lease_until FROM crawl_runs")
    assert scheduled_at == "2026-05-09 18:00:00.000000"
    assert len(lease_until) == len(scheduled_at)
