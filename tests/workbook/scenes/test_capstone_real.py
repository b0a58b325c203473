from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from in_loop import in_loop
from kst_scheduler.fire_times import fire_times
from kst_scheduler.ledger import LedgerRow, SqlLedger
from kst_scheduler.runs.fates import broken_promises, fates
from kst_workbook.scenes.capstone import CRAWL
from kst_workbook.scenes.noted_runs import noted_runs
from kst_workbook.scenes.real_replicas import NIGHT, all_up, hang_next, start_replicas

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    Replicas = dict[str, subprocess.Popen[bytes]]


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return where crawls that come to their end are noted."""
    return str(tmp_path / "crawls")


@pytest.fixture
def replicas(valkey_url: str, postgres_url: str, file: str) -> Iterator[Replicas]:
    """Start three replicas, and kill what is left of them afterwards."""
    processes = start_replicas("ABC", valkey_url, postgres_url, file)
    yield processes
    for process in processes.values():
        process.kill()
        process.wait()


async def ok_after(ledger: SqlLedger, row: LedgerRow | None = None) -> LedgerRow:
    """Return the first night after a row's that ended well."""
    while True:
        rows = await ledger.rows(CRAWL, status="ok")
        if rows := [each for each in rows if row is None or each.scheduled_at > row.scheduled_at]:
            return rows[-1]
        await asyncio.sleep(0.02)


@pytest.mark.long
@in_loop
async def test_a_night_whose_replica_is_killed_has_its_row(
    valkey_url: str, postgres_url: str, replicas: Replicas, file: str
) -> None:
    """It is taken over or closed, the next is ok, none came to its end twice, and keys expire."""
    ledger = SqlLedger(postgres_url)
    await ledger.open()
    async with Redis.from_url(valkey_url) as redis, asyncio.timeout(60):
        await all_up(redis, replicas)
        first = await ok_after(ledger)
        await hang_next(redis)
        (held,) = await ledger.rows(CRAWL, status="running")
        replicas[held.instance].kill()
        last = await ok_after(ledger, held)
        assert last.instance != held.instance
        while (await ledger.watermark(CRAWL) or first.scheduled_at) < last.scheduled_at:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        history = await ledger.history(since=first.scheduled_at, until=last.scheduled_at)
        assert -1 not in [await redis.ttl(key) for key in await redis.keys()]
    wanted = {CRAWL: fire_times(NIGHT, first.scheduled_at, last.scheduled_at)}
    judged = fates(history, wanted, history=history)
    assert not any(broken_promises(judged, history).values())
    assert "attempt 1 on" in "".join(history["detail"])
    assert not noted_runs(file).duplicated().any()
    await ledger.close()
