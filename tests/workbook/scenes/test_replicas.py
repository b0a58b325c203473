from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from in_loop import in_loop
from kst_scheduler.ledger import SqlLedger
from kst_workbook.scenes.replicas import (
    LEASE,
    NO_LOCK,
    ONCE,
    WAITS,
    hang_next,
    most_runs,
    start_replicas,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    Replicas = dict[str, subprocess.Popen[bytes]]


@pytest.fixture
def replicas(valkey_url: str, postgres_url: str) -> Iterator[Replicas]:
    """Start three replicas, and kill what is left of them afterwards."""
    processes = start_replicas("ABC", valkey_url, postgres_url)
    yield processes
    for process in processes.values():
        process.kill()
        process.wait()


def test_a_process_of_a_notebook_loads_what_it_needs_only() -> None:
    """Some thirty are started in one run of all notebooks; tables and web servers take a second."""
    modules = ["job_stores", "queue_workers", "real_replicas", "replicas", "two_workers"]
    program = "import sys\n" + "".join(f"import kst_workbook.scenes.{name}\n" for name in modules)
    program += "print({'pandas', 'fastapi', 'httpx', 'pydantic', 'matplotlib'} & set(sys.modules))"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    assert loaded.stdout.strip() == "set()"


@pytest.mark.long
@in_loop
async def test_three_replicas_one_of_them_killed(
    valkey_url: str, postgres_url: str, replicas: Replicas
) -> None:
    """Each job runs as often as its lock lets it; the killed holder's row is closed and followed.

    No crawl ends well while the lease of the killed one holds, and nothing is left in Redis that
    does not expire.
    """
    ledger = SqlLedger(postgres_url)
    await ledger.open()
    async with Redis.from_url(valkey_url) as redis, asyncio.timeout(60):
        while await most_runs(redis) != {NO_LOCK: 3, WAITS: 3, ONCE: 1}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await hang_next(redis)
        (held,) = await ledger.rows(ONCE, status="running")
        replicas[held.instance].kill()
        while not (after := await ledger.rows(ONCE, status="ok", since=held.scheduled_at)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        (lost,) = await ledger.rows(ONCE, status="error")
        assert (lost.id, lost.attempt) == (held.id, 1)
        assert str(lost.error).startswith(f"abandoned: attempt 1 on {held.instance} lost its lease")
        assert lost.finished_at
        assert held.claimed_at
        assert lost.finished_at - held.claimed_at >= LEASE
        for row in after:
            assert row.instance != held.instance
            assert row.finished_at
            assert row.finished_at > lost.finished_at
        assert (await most_runs(redis))[ONCE] == 1
        assert -1 not in [await redis.ttl(key) for key in await redis.keys()]
    await ledger.close()
