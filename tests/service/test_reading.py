from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from in_loop import in_loop
from kst_scheduler import cron
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.service import reading

if TYPE_CHECKING:
    from pathlib import Path

    from kst_scheduler.service import Service
    from served import Serve, Served

CLIENTS = 25


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> SecretStr:
    """Return the address of an empty database."""
    if request.param == "sqlite":
        return SecretStr(f"sqlite:///{tmp_path}/ledger.db")
    return SecretStr(request.getfixturevalue("postgres_url"))


async def fill(it: Served, rows: int) -> None:
    """Write rows with reasons as long as they may be."""
    now = datetime.now(UTC)
    for number in range(rows):
        await it.miss(at=now - timedelta(seconds=number + 60), reason="down " * 400)


@in_loop
async def test_readers_do_not_make_jobs_late(serve: Serve, url: SecretStr) -> None:
    """Counted in answers, not in seconds: between two steps of a run come a few, never all 25."""
    answered = 0
    ended = asyncio.Event()

    def jobs(service: Service) -> None:
        @once(service.ledger)
        async def job() -> None:
            ended.set()

        service.scheduler.add_job(job, cron(hour=3), id="job")

    async with serve(jobs, database_url=url) as it:
        await fill(it, 300)

        async def read() -> None:
            nonlocal answered
            while True:
                answer = await it.send("GET", "/admin/runs", "limit=1000")
                assert answer.status_code == 200
                answered += 1

        clients = [asyncio.create_task(read()) for _ in range(CLIENTS)]
        while answered < CLIENTS:  # noqa: ASYNC110 - others count
            await asyncio.sleep(0)
        counts = []
        for _ in range(10):
            before = answered
            it.service.scheduler.run_now("job")
            await ended.wait()
            ended.clear()
            while it.service.scheduler.running_occurrences():  # noqa: ASYNC110 - no event
                await asyncio.sleep(0)
            counts.append(answered - before)
        for client in clients:
            client.cancel()
        await asyncio.wait(clients)
    assert max(counts) < CLIENTS


@in_loop
async def test_jobs_and_readers_have_their_own_connections(serve: Serve, url: SecretStr) -> None:
    """And close them."""
    async with serve(database_url=url) as it:
        ledger = it.app.state.readers.ledger
        assert isinstance(ledger, SqlLedger)
        assert ledger._database._engine is not it.service.ledger._database._engine  # type: ignore[attr-defined]
        assert ledger._database._engine.pool.size() == reading.MAX_SERVED  # type: ignore[attr-defined]
        await asyncio.gather(*(ledger.rows(limit=1) for _ in range(10)))
    assert ledger._database._engine.pool.checkedin() == 0  # type: ignore[attr-defined]


class Slow:
    """Readers that stay in the ledger until they are let go."""

    def __init__(self, it: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside = 0
        self.go = asyncio.Event()
        ledger = it.app.state.readers.ledger
        rows = ledger.rows

        async def wait(*arguments: Any, **options: Any) -> Any:
            self.inside += 1
            await self.go.wait()
            return await rows(*arguments, **options)

        monkeypatch.setattr(ledger, "rows", wait)


@in_loop
async def test_too_many_readers_are_sent_away(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 503, and when to come again; those that wait are served."""
    monkeypatch.setattr(reading, "MAX_WAITING", 3)
    async with serve() as it:
        slow = Slow(it, monkeypatch)
        waiting = [asyncio.create_task(it.client.get("/admin/runs")) for _ in range(5)]
        while slow.inside < reading.MAX_SERVED or it.app.state.readers._waiting < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for path in ("/admin/runs", "/admin/jobs", "/timeline"):
            answer = await (it.timeline() if path == "/timeline" else it.client.get(path))
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        refused = await it.client.get("/admin/runs", headers={"Authorization": "Bearer no"})
        assert refused.status_code == 401  # before it waits for anything
        assert (await it.client.get("/livez")).status_code == 200
        slow.go.set()
        assert {(await answer).status_code for answer in waiting} == {200}
        assert slow.inside == 5


@in_loop
async def test_a_turn_that_does_not_come_is_503(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a reader that went away gives its turn back."""
    monkeypatch.setattr(reading, "SECONDS_TO_WAIT", 0.01)
    async with serve() as it:
        slow = Slow(it, monkeypatch)
        served = [
            asyncio.create_task(it.client.get("/admin/runs")) for _ in range(reading.MAX_SERVED)
        ]
        while slow.inside < reading.MAX_SERVED:  # noqa: ASYNC110 - others count
            await asyncio.sleep(0)
        answer = await it.client.get("/admin/runs")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        for each in served:
            each.cancel()
        await asyncio.wait(served)
        slow.go.set()
        assert (await it.client.get("/admin/runs")).status_code == 200


@in_loop
async def test_pages_are_drawn_in_a_thread_of_their_own(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the loop's default pool, in which jobs and name look-ups wait for a thread."""
    threads = []

    def draw(*_: Any) -> str:
        threads.append(threading.current_thread().name)
        return ""

    monkeypatch.setattr("kst_scheduler.service.timeline_page._drawn", draw)
    async with serve() as it:
        for _ in range(3):
            assert (await it.timeline()).status_code == 200
    assert threads == ["kst-scheduler-readers_0"] * 3
