from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from in_loop import in_loop
from kst_scheduler import cron
from kst_scheduler.distributed import hand_off
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import MemoryLedger, SqlLedger, database
from kst_scheduler.once.decorator import once
from kst_scheduler.service import health
from kst_scheduler.service.health import LedgerWatch, Watch
from ledgers import HOUR, end_sessions, run_sql

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kst_scheduler.service import Service
    from served import Serve, Served


class Fragile(MemoryLedger):
    """A ledger that is away, or hangs, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = 0

    async def rows(self, *arguments: Any, **options: Any) -> list[Any]:
        """Answer, hang or fail."""
        self.asked += 1
        await self.answers.wait()
        if self.error:
            raise self.error
        return await super().rows(*arguments, **options)


@in_loop
async def test_a_service_that_runs_is_ok(serve: Serve) -> None:
    """Without a key."""
    async with serve() as it:
        answer = await it.client.get("/healthz", headers={"Authorization": ""})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "reasons": []})


@in_loop
async def test_a_scheduler_that_stopped_is_unavailable(serve: Serve) -> None:
    """Also while it drains, or was paused as a whole."""
    async with serve() as it:
        it.service.scheduler.pause()
        answer = await it.client.get("/healthz")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "unavailable",
            "reasons": ["the scheduler does not run"],
        }
        it.service.scheduler.resume()
        assert (await it.client.get("/healthz")).status_code == 200
        await it.service.scheduler.drain(0)
        assert (await it.client.get("/healthz")).status_code == 503


@in_loop
async def test_a_ledger_that_is_away_is_unavailable(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason names no address; the log has it once, without its password."""
    caplog.set_level("INFO")
    ledger = Fragile()
    watch = LedgerWatch(ledger)
    async with serve() as it:
        it.app.state.watch = watch
        ledger.error = LedgerUnavailableError("postgresql://app:hidden@db refused")
        caplog.clear()
        for _ in range(3):
            await watch.look()
        answer = await it.client.get("/healthz")
        assert (answer.status_code, answer.json()["reasons"]) == (
            503,
            ["the ledger cannot be reached"],
        )
        ledger.error = None
        await watch.look()
        assert (await it.client.get("/healthz")).status_code == 200
    assert [record.message for record in caplog.records if record.name == health.__name__] == [
        "the ledger cannot be reached: postgresql://app:***@db refused",
        "the ledger answers again",
    ]


@in_loop
async def test_it_answers_while_the_ledger_hangs(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that is late is waited for, once, and nobody who asks waits with it."""
    monkeypatch.setattr(health, "SECONDS_TO_ANSWER", 0.01)
    ledger = Fragile()
    watch = LedgerWatch(ledger)
    async with serve() as it:
        it.app.state.watch = watch
        ledger.answers.clear()
        looking = asyncio.create_task(watch.look())
        while watch.trouble is None:
            assert (await it.client.get("/healthz")).status_code in {200, 503}
            await asyncio.sleep(0)  # this client never waits for anything, so nothing else runs
        answer = await it.client.get("/healthz")
        assert answer.json()["reasons"] == ["the ledger does not answer in time"]
        assert ledger.asked == 1
        ledger.answers.set()
        await looking
        assert (await it.client.get("/healthz")).status_code == 200


@in_loop
async def test_the_service_keeps_looking(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second, whatever is wrong, and no longer than it lives."""
    monkeypatch.setattr(health, "SECONDS_BETWEEN_LOOKS", 0.001)
    async with serve() as it:
        ledger = Fragile()
        it.app.state.watch._ledger = ledger
        ledger.error = ZeroDivisionError("a bug")
        while ledger.asked < 3:  # noqa: ASYNC110 - the look itself is what is waited for
            await asyncio.sleep(0.001)
        assert (await it.client.get("/healthz")).status_code == 503
    asked = ledger.asked
    await asyncio.sleep(0.01)
    assert ledger.asked == asked


async def statuses(it: Served, method: str = "GET") -> dict[str, int]:
    """Return what the three probes answer."""
    paths = ("livez", "readyz", "healthz")
    return {path: (await it.client.request(method, f"/{path}")).status_code for path in paths}


WELL = {"livez": 200, "readyz": 200, "healthz": 200}
ALIVE_ONLY = {"livez": 200, "readyz": 503, "healthz": 503}


@in_loop
async def test_alive_and_ready_are_two_questions(serve: Serve) -> None:
    """HEAD answers as GET does, as monitors and load balancers use it, without a body."""
    async with serve() as it:
        assert await statuses(it) == await statuses(it, "HEAD") == WELL
        assert (await it.client.head("/livez")).content == b""
        it.service.scheduler.pause()  # a restart would start it: that is not for a probe to do
        assert await statuses(it) == await statuses(it, "HEAD") == ALIVE_ONLY
        it.service.scheduler.resume()
        await it.service.scheduler.drain(0)
        assert set((await statuses(it)).values()) == {503}


@in_loop
async def test_a_proof_holds_for_a_while_only(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that looks no more says nothing about the ledger."""
    async with serve() as it:
        monkeypatch.setattr(health, "SECONDS_OF_PROOF", -1.0)
        assert await statuses(it) == ALIVE_ONLY
        reasons = (await it.client.get("/readyz")).json()["reasons"]
        assert reasons[0] == "the ledger was not tried within -1 s"


@in_loop
async def test_it_is_ready_only_if_it_was_from_the_start(serve: Serve, tmp_path: Path) -> None:
    """The first answer follows the first proof."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    async with serve(database_url=SecretStr(url)):
        pass
    run_sql(url, REFUSE)
    async with serve(database_url=SecretStr(url)) as it:
        assert await statuses(it) == ALIVE_ONLY


REFUSE = "CREATE TRIGGER refuse BEFORE INSERT ON crawl_runs BEGIN SELECT RAISE(FAIL, 'no'); END"


def _limit_pages(driver: Any) -> None:
    """Let the file not grow any more, and use up the pages that are free in it."""
    (pages,) = driver.execute("PRAGMA page_count").fetchone()
    driver.execute(f"PRAGMA max_page_count = {pages}")
    with contextlib.suppress(sqlite3.OperationalError):
        for number in range(10_000):
            driver.execute(_OLD_ROW, (number,))


_OLD_ROW = """
    INSERT INTO crawl_runs (source, scheduled_at, attempt, instance, status, "trigger")
    VALUES (?, '2026-05-10 00:00:00', 1, 'A', 'ok', 'schedule')
"""


SQLITE_FAULTS = {
    "read-only": lambda driver: driver.execute("PRAGMA query_only = ON"),
    "full disk": _limit_pages,
    "a refusal": lambda driver: driver.execute(REFUSE),
    "no table": lambda driver: driver.execute("DROP TABLE crawl_runs"),
}


@pytest.mark.parametrize("fault", SQLITE_FAULTS)
@in_loop
async def test_a_ledger_that_takes_no_claim_is_not_ready(
    serve: Serve, tmp_path: Path, fault: str
) -> None:
    """Though it can be read; and no trial leaves a row behind, or a lock."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    async with serve(database_url=SecretStr(url)) as it:
        await it.app.state.watch.look()
        assert await it.service.ledger.rows() == []  # what was tried is seen by nobody
        assert await statuses(it) == WELL
        await _in_its_connection(it.app.state.watch._ledger, SQLITE_FAULTS[fault])
        await it.app.state.watch.look()
        assert await statuses(it) == ALIVE_ONLY
        (reason,) = (await it.client.get("/readyz")).json()["reasons"]
        assert reason == f"the ledger cannot be {'reached' if fault == 'no table' else 'written'}"
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db", timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")  # nothing is locked


async def _in_its_connection(ledger: SqlLedger, fault: Callable[[Any], object]) -> None:
    async with ledger._database._engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        await driver._execute(fault, driver._conn)


@in_loop
async def test_a_read_only_postgresql_is_not_ready_until_it_can_be_written(
    serve: Serve, postgres_url: str
) -> None:
    """As after a failover to a standby, with sessions that are still open."""
    name = postgres_url.rpartition("/")[2]
    async with serve(database_url=SecretStr(postgres_url)) as it:
        watch = it.app.state.watch
        await watch.look()
        assert await statuses(it) == WELL
        run_sql(postgres_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        end_sessions(postgres_url)
        await watch.look()
        await watch.look()  # the first one may have met a connection that was ended
        assert await statuses(it) == ALIVE_ONLY
        run_sql(
            postgres_url,
            f'BEGIN; SET TRANSACTION READ WRITE; ALTER DATABASE "{name}" RESET ALL; COMMIT',
        )
        end_sessions(postgres_url)
        await watch.look()
        await watch.look()
        assert await statuses(it) == WELL
        assert await it.service.ledger.rows() == []


@pytest.mark.parametrize(
    "gone",
    [
        "DROP TABLE procrastinate_jobs CASCADE",
        "DROP FUNCTION procrastinate_defer_jobs_v1",
    ],
)
@in_loop
async def test_a_queue_without_its_tables_is_not_ready(
    serve: Serve, postgres_url: str, gone: str
) -> None:
    """Where a job is handed off; and no password is in the answer."""

    def jobs(service: Service) -> None:
        @once(service.ledger)
        async def crawl() -> None: ...

        service.scheduler.add_job(hand_off(crawl, service.tasks), cron(hour=3), id="nightly")

    async with serve(jobs, database_url=SecretStr(postgres_url)) as it:
        await it.app.state.queue_watch.look()
        assert await statuses(it) == WELL
        run_sql(postgres_url, gone)
        await it.app.state.queue_watch.look()
        assert await statuses(it) == ALIVE_ONLY
        assert (await it.client.get("/readyz")).json()["reasons"] == ["the queue cannot be used"]


@in_loop
async def test_a_thousand_jobs_at_once_leave_it_alive(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each probe that is sent meanwhile is 200, and all the jobs run.

    However slow this machine is; the limits themselves stand in test_health_busy.
    """
    monkeypatch.setattr(health, "SECONDS_TO_ANSWER", HOUR.total_seconds())
    monkeypatch.setattr(health, "SECONDS_OF_PROOF", HOUR.total_seconds())
    monkeypatch.setattr(database, "STATEMENT_SECONDS", HOUR.total_seconds())
    ran = 0

    def jobs(service: Service) -> None:
        @once(service.ledger, lease=HOUR, patience=HOUR)
        async def job() -> None:
            nonlocal ran
            ran += 1

        for number in range(1_000):
            service.scheduler.add_job(job, cron(hour=3), id=f"job-{number}")

    url = SecretStr(f"sqlite:///{tmp_path}/ledger.db")
    async with serve(jobs, database_url=url) as it:
        for number in range(1_000):
            it.service.scheduler.run_now(f"job-{number}")
        looking = asyncio.create_task(it.app.state.watch.look())
        while it.service.scheduler.running_occurrences():
            assert await statuses(it) == WELL
            await asyncio.sleep(0.02)
        assert ran == 1_000
        await looking
        assert await statuses(it) == WELL


@in_loop
async def test_a_scheduler_that_wakes_up_no_more_is_not_alive(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job store raised, so APScheduler set no timer; its state is "running" all the same."""

    def add(service: Service) -> None:
        service.scheduler.add_job(asyncio.sleep, cron(hour=3), [0], id="nightly")

    async with serve(add) as it:
        scheduler, watch = it.service.scheduler, it.app.state.scheduler_watch
        assert scheduler._timeout is not None  # the name that the watch relies on
        for _ in range(2):
            await watch.look()
        assert await statuses(it) == WELL

        def broken() -> None:
            raise OSError("the job store's disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(scheduler, "_process_jobs", broken)
            with pytest.raises(OSError, match="disk is full"):
                _wake(scheduler)
        assert scheduler.state == 1
        await watch.look()
        assert (await it.client.get("/livez")).status_code == 200  # once is not enough
        await watch.look()
        assert (await statuses(it))["livez"] == 503
        assert (await it.client.get("/livez")).json()["reasons"] == [
            "the scheduler does not wake up any more"
        ]
        scheduler.wakeup()
        await asyncio.sleep(0)
        await watch.look()
        assert await statuses(it) == WELL


def _wake(scheduler: Any) -> None:
    """Do at once what wakeup() has the loop do."""
    scheduler._stop_timer()
    scheduler._start_timer(scheduler._process_jobs())


@in_loop
async def test_a_late_look_that_loses_a_cancellation_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library may answer all the same when it is cancelled; the service would never stop."""
    monkeypatch.setattr(health, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(health, "SECONDS_TO_ANSWER", 0.0)
    is_cancelled = asyncio.Event()

    async def lose_it() -> None:
        try:
            await is_cancelled.wait()
        except asyncio.CancelledError:
            is_cancelled.set()

    watch = Watch("the part", used=lose_it)
    looking = asyncio.create_task(watch.keep_looking())
    while watch.trouble is None:  # noqa: ASYNC110 - the look has no event
        await asyncio.sleep(0)
    looking.cancel()
    await is_cancelled.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert looking.cancelled()
    looking.cancel()
