from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from in_loop import in_loop
from kst_scheduler.errors import (
    InvalidArgumentError,
    KSTSchedulerError,
    LedgerVersionError,
    LockedOutError,
    MissingExtraError,
)
from kst_scheduler.ledger import Claim, LedgerRow, SqlLedger, database, engines
from kst_scheduler.ledger.engines import make_engine, parse_url
from kst_scheduler.ledger.sessions import Sessions
from ledgers import HOUR, THREE, occurrence, opened, outcome, request, run_sql

if TYPE_CHECKING:
    from pathlib import Path

PROCESS = """
import asyncio, sys
sys.path.insert(0, "tests")
from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger import Claim, SqlLedger
from ledgers import opened, request

async def main(url, instance):
    sys.stdin.readline()  # all at once
    async with opened(SqlLedger(url)) as ledger:
        try:
            await ledger.claim(request(instance=instance))
            print("claimed")
        except LockedOutError:
            print("locked out")

asyncio.run(main(*sys.argv[1:]))
"""


def start(url: str, instance: str) -> subprocess.Popen[str]:
    """Start a process that opens a ledger and claims, once it is written a line."""
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", PROCESS, url, instance],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_several_processes_create_one_schema(sql_url: str) -> None:
    """Two processes open an empty database at once: one schema, no error, one claim."""
    processes = [start(sql_url, instance) for instance in "AB"]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert sorted(answer for answer, _ in answers) == ["claimed\n", "locked out\n"]
    assert [errors for _, errors in answers] == ["", ""]
    assert run_sql(sql_url, "SELECT version FROM crawl_schema") == [(3,)]


@in_loop
async def test_many_ledgers_create_one_schema(sql_url: str) -> None:
    """The same with twenty ledgers of one process, which meet more closely."""
    ledgers = [SqlLedger(sql_url) for _ in range(20)]
    await asyncio.gather(*(ledger.open() for ledger in ledgers))
    assert run_sql(sql_url, "SELECT version FROM crawl_schema") == [(3,)]
    for ledger in ledgers:
        await ledger.close()


@in_loop
async def test_a_ledger_of_a_newer_version_is_refused(sql_url: str) -> None:
    """The message names both versions, and what to do."""
    async with opened(SqlLedger(sql_url)):
        pass
    run_sql(sql_url, "UPDATE crawl_schema SET version = 4")
    with pytest.raises(LedgerVersionError, match=r"has the schema version 4, .* up to 3; update"):
        await refused(SqlLedger(sql_url))


@in_loop
async def test_a_table_that_no_ledger_made_is_left_alone(sql_url: str) -> None:
    """A crawl_runs of one's own is not written to."""
    run_sql(sql_url, "CREATE TABLE crawl_runs (source text, status text)")
    with pytest.raises(InvalidArgumentError, match="has a table crawl_runs that no ledger made"):
        await refused(SqlLedger(sql_url))


_TO_2: Final = [
    "ALTER TABLE crawl_runs DROP COLUMN function",
    "DROP INDEX crawl_runs_times",
    "CREATE INDEX crawl_runs_scheduled_at ON crawl_runs (scheduled_at)",
]
OLDER: Final = {
    1: [
        *_TO_2,
        "ALTER TABLE crawl_runs DROP COLUMN lost",
        "ALTER TABLE crawl_runs DROP COLUMN token",
        "ALTER TABLE crawl_runs DROP COLUMN written_at",
        "DROP INDEX crawl_runs_occurrence",
        "DROP INDEX crawl_runs_running",
        "ALTER TABLE crawl_runs DROP COLUMN namespace",
        "CREATE UNIQUE INDEX crawl_runs_occurrence ON crawl_runs (source, scheduled_at, trigger)",
        "CREATE UNIQUE INDEX crawl_runs_running ON crawl_runs (source) WHERE status = 'running'",
        "DROP TABLE crawl_sources",
        "CREATE TABLE crawl_sources (source TEXT PRIMARY KEY, watermark {moment} NOT NULL)",
        "INSERT INTO crawl_sources VALUES ('nps', '2026-05-09 18:00:00.000000{zone}')",
    ],
    2: [
        *_TO_2,
        "UPDATE crawl_runs SET token = NULL",
        "INSERT INTO crawl_sources VALUES ('', 'nps', '2026-05-09 18:00:00.000000{zone}')",
    ],
}
"""What makes a ledger of this version one of an older version."""


@in_loop
@pytest.mark.parametrize("version", OLDER)
async def test_a_ledger_of_an_older_version_is_upgraded(sql_url: str, version: int) -> None:
    """Its rows are kept, and can be claimed and finished; a process of before can still write."""
    async with opened(SqlLedger(sql_url)) as ledger:
        await ledger.claim(request(occurrence(0)))
    words = {"moment": "TIMESTAMPTZ", "zone": "+00"}
    if sql_url.startswith("sqlite"):
        words = {"moment": "DATETIME", "zone": ""}
    for statement in OLDER[version]:
        run_sql(sql_url, statement.format(**words))
    run_sql(sql_url, f"UPDATE crawl_schema SET version = {version}")  # noqa: S608 - our own
    ledgers = [SqlLedger(sql_url) for _ in range(5)]
    await asyncio.gather(*(each.open() for each in ledgers))
    assert run_sql(sql_url, "SELECT version FROM crawl_schema") == [(3,)]
    first, *others = ledgers
    for each in others:
        await each.close()
    (row,) = await first.rows()
    assert (row.status, row.lost) == ("running", 0)
    assert await first.watermark("nps") == THREE
    with pytest.raises(LockedOutError, match="was claimed by A: running"):
        await first.claim(request())  # a claim of before has no token
    claim = Claim(row.id, row.attempt, request())
    assert await first.renew(claim)
    assert await first.finish(claim, outcome())
    await first.advance_watermark("nps", THREE + HOUR)
    assert await first.watermark("nps") == THREE + HOUR
    await first.close()


async def refused(ledger: SqlLedger) -> None:
    """Open a ledger that is to refuse it, and close what it holds."""
    try:
        await ledger.open()
    finally:
        await ledger.close()


@in_loop
async def test_the_database_refuses_what_no_reader_of_a_row_expects(sql_url: str) -> None:
    """Also from a statement past the ledger: what is never None in a LedgerRow is never NULL."""
    async with opened(SqlLedger(sql_url)) as ledger:
        await ledger.claim(request())
    required = [each.name for each in fields(LedgerRow) if "None" not in str(each.type)]
    assert "status" in required
    for name in required:
        with pytest.raises(IntegrityError, match=r"(?i)not[ -]null|datatype mismatch"):
            run_sql(sql_url, f"UPDATE crawl_runs SET {name} = NULL")  # noqa: S608 - our own


@in_loop
async def test_a_ledger_is_opened_first(sql_url: str) -> None:
    """The message says what to write."""
    ledger = SqlLedger(sql_url)
    with pytest.raises(KSTSchedulerError, match=r"is not open; write await ledger.open\(\) before"):
        await ledger.rows()


@in_loop
async def test_a_cancelled_statement_leaves_the_ledger_usable(sql_url: str) -> None:
    """A job that is cancelled while it writes takes no connection with it."""
    async with opened(SqlLedger(sql_url)) as ledger:
        for number in range(30):
            claim = asyncio.create_task(ledger.claim(request(occurrence(job_id=str(number)))))
            for _ in range(number):
                await asyncio.sleep(0)
            claim.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await claim
        claim_ = await ledger.claim(request())
        assert await ledger.finish(claim_, outcome())


@in_loop
async def test_a_cancelled_statement_of_postgresql_is_not_waited_for(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a lock of another session, say, and a drain would wait with it."""
    for limit in ("STATEMENT_SECONDS", "CONNECT_SECONDS"):
        monkeypatch.setattr(database, limit, 600.0)
    waits_for_a_lock = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with opened(SqlLedger(postgres_url)) as ledger:
        claim = await ledger.claim(request())
        with psycopg.connect(postgres_url) as other:
            other.execute("SELECT 1 FROM crawl_runs FOR UPDATE")
            finishing = asyncio.create_task(ledger.finish(claim, outcome()))
            while not run_sql(postgres_url, waits_for_a_lock):  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.01)
            finishing.cancel()
            await asyncio.wait([finishing], timeout=30)
            assert finishing.cancelled()
        assert await ledger.finish(claim, outcome())


@in_loop
async def test_a_thousand_claims_at_once(sql_url: str) -> None:
    """A thousand jobs that are due at the same second all get their rows."""
    async with opened(SqlLedger(sql_url)) as ledger:
        requests = [request(occurrence(job_id=f"job-{number}")) for number in range(1_000)]
        claims = await asyncio.gather(*(ledger.claim(each) for each in requests))
        assert len({claim.row_id for claim in claims}) == 1_000


def test_connecting_ends_before_the_limit_of_a_statement() -> None:
    """So that the error names the host that does not answer, also the last of several."""
    assert engines.CONNECT_SECONDS < database.STATEMENT_SECONDS
    assert engines.ALL_HOSTS_SECONDS < database.STATEMENT_SECONDS


def test_names_of_the_drivers_are_the_ledgers_choice(tmp_path: Path) -> None:
    """What a URL says for another library, or for a host of apps, is understood."""
    for scheme in ("postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"):
        shown = repr(SqlLedger(f"{scheme}://app:secret@db:5432/crawl?sslmode=require"))
        assert shown == "SqlLedger('postgresql://app:***@db:5432/crawl')"
    assert repr(SqlLedger(f"sqlite+aiosqlite:///{tmp_path}/a.db")) == (
        f"SqlLedger('sqlite:///{tmp_path}/a.db')"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "cannot be read; write sqlite:///folder/ledger.db or postgresql://user:password@"),
        ("postgresql://app:secret@db:x/crawl", "the ledger's URL cannot be read"),
        ("postgresql://app:secret@db:1,db:x/crawl", "the ledger's URL cannot be read"),
        ("mysql://app:secret@db/crawl", "a ledger cannot use mysql; write sqlite:///"),
        ("sqlite://", "sqlite:// is no file.* write sqlite:///.* or MemoryLedger"),
        ("sqlite:///:memory:", "is no file"),
    ],
)
def test_bad_urls(url: str, message: str) -> None:
    """The message says what to write, and shows no password."""
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        SqlLedger(url)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the message says what to install."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kst-scheduler\[ledger\]'"):
        SqlLedger("postgresql://db/crawl")


def test_the_contract_needs_no_extra() -> None:
    """Importing the ledger loads no SQLAlchemy; asking for SqlLedger without it says what to do."""
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "import kst_scheduler.ledger as ledger\n"
        "ledger.MemoryLedger()\n"
        "try: ledger.SqlLedger\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip().endswith("write pip install 'kst-scheduler[ledger]'")


@in_loop
async def test_a_connection_is_used_again_until_it_is_dropped(tmp_path: Path) -> None:
    """Not even the first one is made twice."""
    engine = make_engine(parse_url(f"sqlite:///{tmp_path}/ledger.db"), 1)
    sessions, made = Sessions(engine), list[object]()
    event.listen(engine.sync_engine, "connect", lambda connection, _record: made.append(connection))

    async def use() -> int:
        async with engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")
        return len(made)

    assert [await use(), await use()] == [1, 1]
    sessions.drop()
    assert [await use(), await use()] == [2, 2]
    await engine.dispose()
