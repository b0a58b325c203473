from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from in_loop import in_loop
from kst_scheduler.distributed.names import QUEUE
from kst_scheduler.scheduler.occurrence import RUNNING
from kst_scheduler.service import Service, Settings, cli, create_app
from kst_scheduler.service.app import lifespan
from kst_scheduler.service.components import opened
from kst_scheduler.service.jobs import jobs_function
from kst_scheduler.timezone import KST
from served import BEARER, KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

SECONDS = 60
"""For how long anything is waited for."""

JOBS = """\
import asyncio, os
from kst_scheduler import cron, once
from kst_scheduler.distributed import hand_off

def add(service):
    @once(service.ledger)
    async def slow():
        await asyncio.sleep(float(os.environ["SECONDS"]))
        return os.getpid()
    service.scheduler.add_job(hand_off(slow, service.tasks), cron(hour=3), id="slow")
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no setting of the host's reach a test."""
    for name in list(os.environ):
        if name.upper().startswith("KST_SCHEDULER_") or name in {"REDIS_URL", "DATABASE_URL"}:
            monkeypatch.delenv(name)


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the name of a function that adds a slow job, for this process and for workers."""
    (tmp_path / "handed_jobs.py").write_text(JOBS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield "handed_jobs:add"
    sys.modules.pop("handed_jobs", None)


@pytest.mark.parametrize("url", ["", "sqlite:////tmp/runs.db"])
def test_a_worker_without_postgresql_is_exit_code_1(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one line that says what to set."""
    monkeypatch.setenv("DATABASE_URL", url)
    assert cli.main(["worker", "--demo"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("kst-scheduler: a worker takes its work from the PostgreSQL of the ")
    assert "set DATABASE_URL to theirs, which begins with postgresql://" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_concurrency_that_runs_nothing_shows_the_usage(
    count: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As argparse does it."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(["worker", "--concurrency", count])
    assert "usage: kst-scheduler worker" in capsys.readouterr().err


def test_next_shows_jobs_that_are_handed_off(jobs: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no queue then, and none is needed."""
    assert cli.main(["next", "--jobs", jobs, "-n1"]) == 0
    assert "slow: every day at 03:00 KST" in capsys.readouterr().out


@in_loop
async def test_only_postgresql_has_a_queue(tmp_path: Path) -> None:
    """A service on SQLite or in memory runs its jobs itself."""
    for url in (None, SecretStr(f"sqlite:///{tmp_path}/ledger.db")):
        async with opened(Settings(database_url=url)) as service:
            assert service.tasks is None


class Worker:
    """A ``kst-scheduler worker`` as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def until(self, pattern: str) -> None:
        """Read its log until a line has the pattern."""
        assert self.process.stderr is not None
        async with asyncio.timeout(SECONDS):
            async for line in self.process.stderr:
                self.said += line.decode()
                if re.search(pattern, line.decode()):
                    return
        raise AssertionError(f"it ended without {pattern!r}:\n{self.said}")

    async def end(self) -> int:
        """Send SIGTERM, and return the exit code."""
        assert self.process.stderr is not None
        self.process.send_signal(signal.SIGTERM)
        self.said += (await self.process.stderr.read()).decode()
        return await self.process.wait()


@contextlib.asynccontextmanager
async def worker(
    jobs: str, url: str, seconds: float, known: str = "slow", **settings: str
) -> AsyncIterator[Worker]:
    """Run the command until it takes tasks."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "kst_scheduler.service.cli", "worker"),
        *("--concurrency", "2", "--jobs", jobs),
        stderr=subprocess.PIPE,
        env=os.environ | {"DATABASE_URL": url, "SECONDS": str(seconds)} | settings,
    )
    try:
        running = Worker(process)
        await running.until(f"takes 2 at once of: {known}$")
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def asked_for(client: httpx.AsyncClient, service: Service) -> None:
    """Ask for a run by the admin API, and return when a worker is at it."""
    answer = await client.post("/admin/jobs/slow/run")
    assert answer.status_code == 202
    async with asyncio.timeout(SECONDS):
        while not await service.ledger.rows(status="running"):  # noqa: ASYNC110 - the worker's
            await asyncio.sleep(0.01)


@in_loop
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
async def test_what_a_service_hands_off_a_worker_runs(jobs: str, postgres_url: str) -> None:
    """SIGTERM lets its run end; a run that takes too long is cut, and waits in the queue again."""
    url = SecretStr(postgres_url)
    app = create_app(Settings(jobs=jobs, admin_key=SecretStr(KEY), database_url=url))
    headers = {"Authorization": BEARER}
    transport = httpx.ASGITransport(app)
    async with (
        lifespan(app),
        httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as http,
    ):
        service: Service = app.state.service
        assert service.tasks is not None
        manager = service.tasks.job_manager
        async with worker(jobs, postgres_url, 0.5) as first:
            await asked_for(http, service)
            assert await first.end() == 0
        (row,) = await service.ledger.rows()
        assert (row.status, row.attempt, row.rows) == ("ok", 1, first.process.pid)
        assert "is at 1 run(s), which have 20 s" in first.said
        assert not list(await manager.list_jobs_async(queue=QUEUE))
        async with worker(jobs, postgres_url, 60, KST_SCHEDULER_DRAIN_TIMEOUT="0") as second:
            await asked_for(http, service)
            assert await second.end() == 0
        row = (await service.ledger.rows())[0]
        assert (row.status, row.attempt) == ("cancelled", 1)
        (task,) = await manager.list_jobs_async(queue=QUEUE)
        assert (task.status, task.lock) == ("todo", row.occurrence.key)
    assert "Traceback" not in first.said + second.said


@in_loop
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
async def test_a_worker_without_jobs_says_so(tmp_path: Path, postgres_url: str) -> None:
    """It would wait for ever, and look well; in the words of ``serve``."""
    (tmp_path / "no_worker_jobs.py").write_text("def add(service): ...")
    jobs = f"{tmp_path}/no_worker_jobs.py:add"
    async with worker(jobs, postgres_url, 0, known="none") as it:
        assert await it.end() == 0
    assert f"there are no jobs: --jobs {jobs} has added none" in it.said


DEAF = """\
import asyncio, os
from kst_scheduler import cron, once
from kst_scheduler.scheduler import drain
from kst_scheduler.distributed import hand_off
from kst_scheduler.service import stopping

if "SECONDS" in os.environ:  # in the worker, not in this process
    stopping.SECONDS_FOR_REQUESTS = stopping.SECONDS_FOR_THE_REST = drain.CLEAN_UP_SECONDS = 0.2

def add(service):
    @once(service.ledger)
    async def slow():
        while True:
            try:
                await asyncio.sleep(75)
            except asyncio.CancelledError:
                pass
    service.scheduler.add_job(hand_off(slow, service.tasks), cron(hour=3), id="slow")
"""


@in_loop
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
async def test_a_run_that_cannot_be_cut_does_not_keep_a_worker(
    tmp_path: Path, postgres_url: str
) -> None:
    """The process ends with exit code 3, and names the task."""
    (tmp_path / "deaf_worker_jobs.py").write_text(DEAF)
    jobs = f"{tmp_path}/deaf_worker_jobs.py:add"
    async with opened(Settings(jobs=jobs, database_url=SecretStr(postgres_url))) as service:
        jobs_function(jobs)(service)
        job = service.scheduler.get_job("slow").func
        set_occurrence = RUNNING.set(("slow", datetime.now(KST), False))
        await job()
        RUNNING.reset(set_occurrence)
        async with worker(jobs, postgres_url, 0, KST_SCHEDULER_DRAIN_TIMEOUT="0.2") as it:
            async with asyncio.timeout(SECONDS):
                while not await service.ledger.rows(status="running"):  # noqa: ASYNC110 - the worker's
                    await asyncio.sleep(0.01)
            assert await it.end() == 3
    (line,) = [line for line in it.said.splitlines() if "still running 0.8 s after" in line]
    assert "kst_scheduler.run" in line
