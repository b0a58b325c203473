from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.nps import NpsUnavailableError, crawl_nps
from kst_workbook.nps.sandbox import create_sandbox, use_sandbox

if TYPE_CHECKING:
    import pandas as pd
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from kst_scheduler.simulation import SimulationResult
    from kst_workbook.nps.sandbox import Sandbox


def register(scheduler: AsyncIOScheduler) -> None:
    """Schedule the lesson's job, at 03:00 KST."""
    scheduler.add_job(crawl_nps, cron(hour=3, minute=0), id="daily-nps-crawl")


def nights(sandbox: Sandbox, count: int, nodes: int = 1) -> SimulationResult:
    """Simulate nights from 10 May 2026 on against the sandbox."""
    start = kst(2026, 5, 10)
    with use_sandbox(sandbox):
        return simulate(register, start, start + timedelta(days=count), nodes=nodes)


def durations(runs: pd.DataFrame) -> list[timedelta]:
    """Return how long each run took, in simulated time."""
    return list(runs["finished_at"] - runs["started_at"])


def test_time_outs_and_waits_pass_in_virtual_time() -> None:
    """A late answer, cut after 10 s, and an HTTP 503 cost 10 + 1 + 2 seconds of simulated time."""
    sandbox = create_sandbox()
    sandbox.faults.add("slow", seconds=3600)
    sandbox.faults.add("http_503")
    runs = nights(sandbox, 1).runs
    assert list(runs["status"]) == ["ok"]
    assert durations(runs) == [timedelta(seconds=13)]
    assert sandbox.calls == {kst(2026, 5, 10).date(): 5}


def test_an_outage_ends_the_run_with_an_error() -> None:
    """The run's detail names the exception; four attempts took 1 + 2 + 4 seconds."""
    sandbox = create_sandbox()
    sandbox.faults.add("http_503", times=4)
    runs = nights(sandbox, 1).runs
    assert list(runs["status"]) == ["error"]
    assert NpsUnavailableError.__name__ in runs["detail"][0]
    assert durations(runs) == [timedelta(seconds=7)]


def test_each_simulated_night_has_its_own_quota() -> None:
    """Two replicas share a quota that one crawl nearly uses up: one of them fails, every night."""
    sandbox = create_sandbox(quota=4)
    runs = nights(sandbox, 3, nodes=2).runs
    by_night = runs.groupby("scheduled_at")["status"]
    assert [sorted(map(str, night)) for _, night in by_night] == [["error", "ok"]] * 3
    assert [str(day) for day in sandbox.calls] == ["2026-05-10", "2026-05-11", "2026-05-12"]
