"""The scenarios of scenarios.py: in virtual time all of them, in real time a dozen."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from scenarios import END, SCENARIOS, Scenario, Stage

from kst_scheduler import KST, RunRecorder, kst, simulate

if TYPE_CHECKING:
    import pandas as pd

START = kst(2026, 5, 10, 3)
REAL = [each for each in SCENARIOS if each.in_real_time]


def scheduler() -> AsyncIOScheduler:
    """Return the library's own scheduler."""
    return AsyncIOScheduler(timezone=KST)


def fate(runs: pd.DataFrame, start: datetime) -> str:
    """Return a table as scenarios.py writes it; a begin is cut to half a second."""
    due = ((runs["scheduled_at"] - start) / timedelta(seconds=1)).round(1)
    began = (runs["started_at"] - start) // timedelta(seconds=0.5) / 2
    words = [
        f"{job}{at:g}={status}" + (f"@{begin:g}" if status in {"ok", "error", "running"} else "")
        for job, at, status, begin in zip(runs["job_id"], due, runs["status"], began, strict=True)
    ]
    return " ".join(words)


def test_there_are_sixty_and_a_dozen_in_real_time() -> None:
    """Each with a name of its own, and its reason."""
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS) >= 60
    assert len(REAL) >= 12
    assert all(each.why for each in SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.name for each in SCENARIOS])
def test_its_fate_in_virtual_time(scenario: Scenario) -> None:
    """As the library's source says."""

    def register(scheduler: AsyncIOScheduler) -> None:
        scenario.play(Stage(scheduler, START))

    result = simulate(register, START, START + timedelta(seconds=END), scheduler=scheduler)
    runs = result.runs.sort_values(["job_id", "scheduled_at"], kind="stable")
    assert fate(runs, START) == scenario.fate


@pytest.mark.long
def test_the_fate_of_a_dozen_in_real_time() -> None:
    """All of them at once, each on an event loop and in a thread of its own."""
    start = datetime.fromtimestamp(time.time() // 10 * 10 + 10, KST)
    found: dict[str, str] = {}

    async def play(scenario: Scenario) -> None:
        await asyncio.sleep((start - datetime.now(KST)).total_seconds())
        own = scheduler()
        recorder = RunRecorder(own)
        scenario.play(Stage(own, start))
        own.start()
        await asyncio.sleep((start - datetime.now(KST)).total_seconds() + END - 0.2)
        runs = recorder.runs.sort_values(["job_id", "scheduled_at"], kind="stable")
        found[scenario.name] = fate(runs, start)
        own.shutdown(wait=False)

    threads = [threading.Thread(target=asyncio.run, args=(play(each),)) for each in REAL]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {each.name: each.fate for each in REAL}
