"""The zone of a simulated host, where a service sets TZ itself."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
import tzlocal
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from kst_scheduler import Crash, kst, simulate

START = kst(2026, 5, 9, 22)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="zones as POSIX has them")
@pytest.mark.parametrize("node", ["A", "B"])
def test_a_process_that_sets_tz_fires_in_it(node: str) -> None:
    """As a real one does; each process begins in the host's zone, also after a restart."""
    before, zones = os.environ.get("TZ"), []

    def register(scheduler: AsyncIOScheduler) -> None:
        zones.append(os.environ["TZ"])
        os.environ["TZ"] = "Asia/Seoul"
        time.tzset()
        scheduler.add_job(time.sleep, CronTrigger(hour=3), args=[0], id="nightly")

    crash = Crash("A", at=START + timedelta(hours=1), restart_after=timedelta(minutes=1))
    night = simulate(
        register,
        START,
        START + timedelta(hours=12),
        nodes=2,
        incidents=[crash],
        scheduler=lambda: AsyncIOScheduler(timezone="Asia/Seoul"),
        host_timezone="America/New_York",
    )
    runs = night.runs[night.runs["node"] == node]
    assert [*runs["scheduled_at"]] == [kst(2026, 5, 10, 3)]
    assert zones == ["America/New_York"] * 3
    assert os.environ.get("TZ") == before


def test_the_own_zone_is_back_at_the_end() -> None:
    """Also where a process has looked it up."""
    before = tzlocal.get_localzone()
    simulate(
        lambda scheduler: scheduler.add_job(time.sleep, CronTrigger(hour=3), args=[0]),
        START,
        START + timedelta(hours=1),
        scheduler=AsyncIOScheduler,
        host_timezone="America/New_York",
    )
    assert tzlocal.get_localzone() is before
