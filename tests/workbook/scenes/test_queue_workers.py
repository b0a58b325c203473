from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import time_machine

from in_loop import in_loop
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.service.components import Service
from kst_scheduler.timezone import KST, kst
from kst_workbook.scenes import queue_workers
from kst_workbook.scenes.noted_runs import noted_runs
from kst_workbook.scenes.queue_workers import CRAWLS, LONG, PAGES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path


SOME = CRAWLS[:20]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Return where the workers and their runs leave files."""
    return str(tmp_path)


@pytest.fixture
def workers(postgres_url: str, folder: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start two workers, and kill them afterwards."""
    started = queue_workers.start_workers(["W1", "W2"], postgres_url, folder)
    yield started
    for process in started.values():
        process.kill()
        process.wait()


def replicas(url: str, folder: str, count: int) -> AbstractAsyncContextManager[list[Service]]:
    """Return replicas that are closed afterwards."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[list[Service]]:
        services = [await queue_workers.open_replica(url, folder) for _ in range(count)]
        try:
            yield services
        finally:
            for service in services:
                await queue_workers.close_replica(service)

    return opened()


async def rows(service: Service, count: int, status: str) -> list[Any]:
    """Return the rows of a status, when there are as many."""
    async with asyncio.timeout(60):
        while len(found := await service.ledger.rows(status=status)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


def deferred(url: str) -> int:
    """Return how often a task was asked for: each time takes a number, also when refused."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT last_value FROM procrastinate_jobs_id_seq").fetchone()
    return found[0] if found else 0


@pytest.mark.long
@in_loop
async def test_all_replicas_hand_off_and_each_occurrence_runs_once(
    postgres_url: str, folder: str, workers: dict[str, subprocess.Popen[bytes]]
) -> None:
    """Two replicas ask for a task each; a worker that is killed loses nothing to its survivor."""
    async with replicas(postgres_url, folder, 2) as services:
        queue_workers.make_due(services, SOME)
        async with asyncio.timeout(60):
            while deferred(postgres_url) < 2 * len(SOME):  # noqa: ASYNC110 - another server
                await asyncio.sleep(0.02)
        assert await services[0].ledger.rows() == []
        await queue_workers.let_work(folder, "W1", "W2")
        done = await rows(services[0], len(SOME), "ok")
        assert {row.source for row in done} == set(SOME)
        assert {row.attempt for row in done} == {1}
        assert sorted(noted_runs(queue_workers.runs_file(folder))["job_id"]) == SOME

        due = queue_workers.make_due(services, [LONG])
        held = await queue_workers.row_of(services[0], LONG, "running")
        assert held.scheduled_at == due
        workers[held.instance].kill()
        taken = await queue_workers.row_of(services[0], LONG, "ok")
        assert 0 < await queue_workers.seconds_for_pages(services) < 60
    assert (taken.source, taken.attempt) == (LONG, 2)
    assert {held.instance, taken.instance} == {"W1", "W2"}
    assert f"attempt 1 on {held.instance} lost its lease" in (taken.error or "")


def test_without_a_queue_all_jobs_run_where_the_scheduler_is() -> None:
    """The jobs are 317, and no two have the same id."""
    service = Service(KSTScheduler(), MemoryLedger())
    queue_workers.register(service, "")
    assert len(service.scheduler.get_jobs()) == len({*CRAWLS, *PAGES, LONG}) == 317


def test_no_job_is_due_by_itself_while_a_reader_looks() -> None:
    """Not even at three o'clock, when the jobs of a night would be due one after the other."""
    now = kst(2026, 5, 10, 3, 4)
    with time_machine.travel(now, tick=False):
        service = Service(KSTScheduler(), MemoryLedger())
        queue_workers.register(service, "")
        jobs = service.scheduler.get_jobs()
        first = min(job.trigger.get_next_fire_time(None, now) for job in jobs)
    assert first - now >= timedelta(hours=12)
    assert first.astimezone(KST).hour == 3
