from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from pydantic import SecretStr

from in_loop import in_loop
from kst_scheduler import KST, cron
from kst_scheduler.errors import (
    InvalidArgumentError,
    LedgerUnavailableError,
    LedgerVersionError,
    NotRunningError,
)
from kst_scheduler.ledger import MemoryLedger, SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.servers.local_server import serve_locally
from kst_scheduler.service import Service, Settings, components
from kst_scheduler.service.components import running

if TYPE_CHECKING:
    from pathlib import Path


class LateLedger(MemoryLedger):
    """A ledger whose database is away for the first calls of open()."""

    def __init__(self, away: int, error: Exception | None = None) -> None:
        super().__init__()
        self.away = away
        self.error = error or LedgerUnavailableError("the ledger in postgresql://db is away")
        self.closed = False

    async def open(self) -> None:
        """Fail as often as was said."""
        self.away -= 1
        if self.away >= 0:
            raise self.error

    async def close(self) -> None:
        """Note it."""
        self.closed = True


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> LateLedger:
    """Stand in for the database of DATABASE_URL, away twice and then there."""
    ledger = LateLedger(2)
    monkeypatch.setattr(components, "SqlLedger", lambda _, **_options: ledger)
    monkeypatch.setattr(components, "SECONDS_BETWEEN_ATTEMPTS", 0.001)
    return ledger


def settings(**changes: Any) -> Settings:
    """Return settings with a database and without jobs."""
    usual: dict[str, Any] = {"database_url": SecretStr("postgresql://db/crawl")}
    return Settings(**{"jobs": lambda _: None, **usual, **changes})


@in_loop
async def test_the_jobs_function_gets_the_parts(tmp_path: Path) -> None:
    """A scheduler that has not started, an open ledger, and a Redis client if there is one."""
    seen: list[tuple[Service, bool]] = []

    def jobs(service: Service) -> None:
        seen.append((service, service.scheduler.running))

    url = f"sqlite:///{tmp_path}/ledger.db"
    there = settings(
        jobs=jobs,
        database_url=SecretStr(url),
        redis_url=SecretStr("redis://:hidden@127.0.0.1:1/0"),
    )
    async with running(there) as service:
        assert seen == [(service, False)]
        assert service.scheduler.running
        assert isinstance(service.ledger, SqlLedger)
        assert await service.ledger.rows() == []
        assert service.redis is not None
        assert service.redis.connection_pool.connection_kwargs["port"] == 1
    assert not service.scheduler.running
    async with running(Settings(jobs=jobs)) as service:
        assert isinstance(service.ledger, MemoryLedger)
        assert service.redis is None


@in_loop
async def test_a_ledger_in_memory_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever forgets DATABASE_URL reads what that means."""
    async with running(Settings(jobs=lambda _: None)):
        assert "DATABASE_URL is not set: the ledger is in memory" in caplog.text


@in_loop
async def test_a_database_that_comes_late_is_waited_for(
    ledger: LateLedger, caplog: pytest.LogCaptureFixture
) -> None:
    """One line an attempt says what is wrong, and for how long it is tried."""
    async with running(settings()) as service:
        assert service.ledger is ledger
    assert ledger.closed
    assert (
        caplog.messages
        == [
            "the ledger in postgresql://db is away; trying for another 30 s",
        ]
        * 2
    )


@in_loop
async def test_a_database_that_stays_away_is_an_error(ledger: LateLedger) -> None:
    """The message says what to look at; nothing is left open."""
    ledger.away = 1_000_000
    with pytest.raises(
        LedgerUnavailableError, match=r"within 0\.01 s; is DATABASE_URL right.*is away$"
    ):
        async with running(settings(start_timeout=0.01)):
            pytest.fail("started without its ledger")
    assert ledger.closed
    assert 1_000_000 - ledger.away > 1


@in_loop
async def test_a_newer_ledger_is_not_waited_for(ledger: LateLedger) -> None:
    """It stays newer, however long one waits."""
    ledger.error = LedgerVersionError("the ledger is of version 9")
    with pytest.raises(LedgerVersionError, match="version 9"):
        async with running(settings()):
            pytest.fail("started on a newer ledger")
    assert (ledger.away, ledger.closed) == (1, True)


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [
        ("redis_url", "http://:hidden@cache", "REDIS_URL: .*redis://"),
        ("database_url", "mysql://app:hidden@db/crawl", "DATABASE_URL: .*postgresql://"),
        ("alert_url", "ftp://hidden/hook", "KST_SCHEDULER_ALERT_URL: .*https://"),
    ],
)
@in_loop
async def test_an_address_of_another_kind_is_refused(name: str, address: str, said: str) -> None:
    """The message names the variable, and shows no password."""
    with pytest.raises(InvalidArgumentError, match=f"^{said}") as caught:
        async with running(Settings(jobs=lambda _: None, **{name: SecretStr(address)})):  # type: ignore[arg-type]
            pytest.fail("started")
    assert "hidden" not in str(caught.value)


@in_loop
async def test_jobs_that_fail_to_be_added_stop_the_start(ledger: LateLedger) -> None:
    """What was started before is closed, and the error is the jobs function's own."""

    def jobs(_: Service) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with running(settings(jobs=jobs)):
            pytest.fail("started")
    assert ledger.closed


@in_loop
async def test_a_run_that_outlives_the_drain_is_cut_and_said_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has its row, and its name is in the log."""
    caplog.set_level(logging.INFO)
    started = asyncio.Event()

    def jobs(service: Service) -> None:
        @once(service.ledger)
        async def endless() -> None:
            started.set()
            await asyncio.Event().wait()

        service.scheduler.add_job(endless, cron(hour=3), id="endless")

    async with running(Settings(jobs=jobs, drain_timeout=0.01)) as service:
        run = service.scheduler.run_now("endless")
        await started.wait()
    (row,) = await service.ledger.rows()
    assert (row.occurrence, row.status) == (run, "cancelled")
    assert f"Drained the scheduler: cancelled: {run.key}" in caplog.text
    with pytest.raises(NotRunningError):
        service.scheduler.run_now("endless")


@in_loop
async def test_a_run_that_ends_in_time_is_waited_for() -> None:
    """The drain is no longer than the run."""
    started = asyncio.Event()

    def jobs(service: Service) -> None:
        @once(service.ledger)
        async def short() -> None:
            started.set()
            await asyncio.sleep(0.01)

        service.scheduler.add_job(short, cron(hour=3), id="short")

    async with running(Settings(jobs=jobs)) as service:
        service.scheduler.run_now("short")
        await started.wait()
    assert [row.status for row in await service.ledger.rows()] == ["ok"]


@in_loop
async def test_what_was_missed_is_written_and_told(tmp_path: Path) -> None:
    """The service reconciles when it starts: nobody has to ask for the row and the alert."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    now = datetime.now(UTC).replace(microsecond=0)
    alerts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    receiver = FastAPI()

    @receiver.post("/hook")
    async def hook(request: Request) -> None:
        await alerts.put(json.loads(await request.body()))

    def jobs(service: Service) -> None:
        @once(service.ledger, catch_up=timedelta(seconds=1))
        async def crawl() -> None: ...

        due = (now - timedelta(minutes=30)).astimezone(KST)
        trigger = cron(hour=due.hour, minute=due.minute, second=due.second)
        service.scheduler.add_job(crawl, trigger, id="nightly")

    before = SqlLedger(url)
    await before.open()
    await before.advance_watermark("nightly", now - timedelta(hours=1))
    await before.close()
    async with serve_locally(receiver) as address:
        there = settings(
            jobs=jobs, database_url=SecretStr(url), alert_url=SecretStr(f"{address}/hook")
        )
        async with running(there) as service:
            async with asyncio.timeout(20):
                alert = await alerts.get()
            (row,) = await service.ledger.rows(status="missed")
    assert row.scheduled_at == now - timedelta(minutes=30)
    assert [run["run"] for run in alert["runs"]] == [row.occurrence.key]


LIGHT = """
import asyncio, sys
from kst_scheduler import every, once
from kst_scheduler.service import Settings
from kst_scheduler.service.app import create_app
from kst_scheduler.service.components import running

async def crawl():
    pass

def add(service):
    service.scheduler.add_job(once(service.ledger)(crawl), every(minutes=1), id="crawl")

async def main():
    create_app(Settings(jobs=add))
    async with running(Settings(jobs=add)) as service:
        service.scheduler.run_now("crawl")
        while not await service.ledger.rows(status="ok"):
            await asyncio.sleep(0.01)
    print({"numpy", "pandas", "matplotlib"} & set(sys.modules))

asyncio.run(main())
"""


def test_a_service_at_work_loads_no_tables() -> None:
    """They are 56 MB of memory in each process, and only pictures and simulations need them."""
    command = [sys.executable, "-c", LIGHT]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.strip() == "set()"
