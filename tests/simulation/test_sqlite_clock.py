"""SQLite's own clock: what its functions of time call now."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler import cron, kst, simulate

if TYPE_CHECKING:
    from pathlib import Path

NOON = kst(2026, 5, 10, 12)
ASKED = (
    ("SELECT CURRENT_TIMESTAMP", "2026-05-10 03:00:00"),
    ("SELECT CURRENT_DATE", "2026-05-10"),
    ("SELECT CURRENT_TIME", "03:00:00"),
    ("SELECT datetime()", "2026-05-10 03:00:00"),
    ("SELECT datetime('now')", "2026-05-10 03:00:00"),
    ("SELECT datetime('NOW', '+1 day')", "2026-05-11 03:00:00"),
    ("SELECT datetime('now', 'localtime')", "2026-05-10 12:00:00"),
    ("SELECT date('now', 'start of month')", "2026-05-01"),
    ("SELECT time('now')", "03:00:00"),
    ("SELECT strftime('%H:%M:%f', 'now')", "03:00:00.000"),
    ("SELECT strftime('%s', 'now')", "1778382000"),
    ("SELECT unixepoch('now')", 1778382000),
    ("SELECT julianday('now')", 2461170.625),
    ("SELECT datetime('2026-01-01')", "2026-01-01 00:00:00"),
    ("SELECT datetime(NULL)", None),
    ("SELECT datetime('nonsense')", None),
)


@pytest.mark.parametrize(("question", "expected"), ASKED)
def test_now_is_virtual(question: str, expected: object) -> None:
    """Whatever asks for it."""
    found: list[Any] = []

    def ask() -> None:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            found.append(connection.execute(question).fetchone()[0])

    simulate(
        lambda scheduler: scheduler.add_job(ask, cron(hour=12)),
        NOON,
        NOON + timedelta(minutes=1),
        host_timezone="Asia/Seoul",
    )
    assert found == [pytest.approx(expected) if isinstance(expected, float) else expected]


def test_a_table_may_use_them_in_a_check_a_default_and_an_index() -> None:
    """As it may use SQLite's own."""
    found: list[Any] = []

    def ask() -> None:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript("""
                CREATE TABLE runs (
                    at TEXT DEFAULT CURRENT_TIMESTAMP CHECK (date(at) IS NOT NULL),
                    day TEXT GENERATED ALWAYS AS (date(at)) VIRTUAL
                );
                CREATE INDEX by_day ON runs (strftime('%Y-%m', at));
            """)
            connection.execute("INSERT INTO runs DEFAULT VALUES")
            found.extend(connection.execute("SELECT at, day FROM runs").fetchall())

    simulate(
        lambda scheduler: scheduler.add_job(ask, cron(hour=12)), NOON, NOON + timedelta(minutes=1)
    )
    assert found == [("2026-05-10 03:00:00", "2026-05-10")]


LEDGER = """
import asyncio, sys, warnings
from datetime import timedelta
from functools import partial
from kst_scheduler import Crash, Reconciler, SqlLedger, cron, kst, once, simulate

warnings.simplefilter("ignore", ResourceWarning)  # who crashes closes nothing

def register(scheduler, address):
    ledger = SqlLedger(address)

    async def crawl():
        await asyncio.sleep(60)

    async def reconcile():
        await ledger.open()
        Reconciler(scheduler, ledger).start()

    scheduler.add_job(once(ledger)(crawl), cron(hour=3), id="nightly")
    asyncio.get_running_loop().create_task(reconcile())

start = kst(2026, 5, 10, 1)
down = [Crash("A", kst(2026, 5, 10, 2, 59), timedelta(minutes=4))]
register = partial(register, address=sys.argv[1])
night = simulate(register, start, start + timedelta(hours=3), incidents=down)
print(night.runs["status"].tolist(), night.log["message"].str.contains("clock was set").any())
"""


def test_a_ledger_in_sqlite_catches_up(tmp_path: Path) -> None:
    """Its clock goes on as those of the nodes do, so what was missed is run."""
    address = f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}"
    done = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", LEDGER, address], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("['ok'] False\n", "")
