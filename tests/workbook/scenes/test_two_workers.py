"""Two workers of uvicorn are two schedulers, on one ledger."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_workbook.scenes.two_workers import most_runs, start_workers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
@in_loop
async def test_the_plain_job_runs_twice_and_the_one_with_a_ledger_once(tmp_path: Path) -> None:
    """And a SIGTERM ends both workers."""
    folder = str(tmp_path)
    workers = start_workers(folder)
    assert most_runs(folder) == {}
    try:
        async with asyncio.timeout(60):
            while most_runs(folder) != {"plain": 2, "once": 1}:  # noqa: ASYNC110 - of processes
                await asyncio.sleep(0.05)
    finally:
        workers.terminate()
    assert await asyncio.to_thread(workers.wait) == 0
    assert most_runs(folder) == {"plain": 2, "once": 1}
