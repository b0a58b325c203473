from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler.fire_times import fire_times
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.factories import every
from kst_workbook.scenes.store_replicas import (
    ADDED_AT_START,
    ADDED_ONCE,
    LEASE,
    LEDGER,
    noted_runs,
    replica,
    start_replicas,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return where the replicas note their runs."""
    return str(tmp_path / "runs.tsv")


@pytest.fixture
def processes(postgres_url: str, file: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start two replicas, and kill them afterwards."""
    started = start_replicas(2, postgres_url, file)
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.long
@in_loop
async def test_replicas_on_a_store_and_on_a_ledger_are_killed_and_followed(
    postgres_url: str, file: str, processes: list[subprocess.Popen[bytes]]
) -> None:
    """A store's slots are run twice, a ledger's once; after a restart each makes up as it can."""

    def most_runs() -> dict[str, int]:
        return dict(noted_runs(file).value_counts().groupby("job_id").max())

    async with asyncio.timeout(60):
        while most_runs() != {ADDED_ONCE: 2, ADDED_AT_START: 2, LEDGER: 1}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for process in processes:
            process.kill()
            process.wait()
        killed_at = datetime.now(KST)
        # Slots go by while nobody runs, and the restart is not at the very next one.
        while not (datetime.now(KST) - killed_at > LEASE and early_in_its_second()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        async with replica(postgres_url, file, first=False) as ledger:
            slots = fire_times(every(seconds=1), killed_at, datetime.now(KST))
            since = slots[0].to_pydatetime()
            while len(rows := await ledger.rows(LEDGER, since=since)) < len(slots):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            while not (ran := await ledger.rows(LEDGER, since=since, status="ok")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert {row.status for row in rows if row.scheduled_at < slots[-1]} == {"missed"}
    assert slots[-1] in {row.scheduled_at for row in ran}
    runs = noted_runs(file)
    caught_up = runs[runs["scheduled_at"].between(slots[0], slots[-1])]
    assert sorted(caught_up["job_id"]) == sorted([ADDED_ONCE, LEDGER])
    assert set(caught_up["scheduled_at"]) == {slots[-1]}


def early_in_its_second() -> bool:
    """Tell whether the last slot has just gone by, so that a start comes before the next one."""
    return 50_000 < datetime.now(KST).microsecond < 300_000
