"""How long stand-ins last, and how jobs without an id are called."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.rehearsal import rehearse

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = """
from functools import partial
from apscheduler.schedulers.asyncio import AsyncIOScheduler
scheduler = AsyncIOScheduler(timezone="Asia/Seoul", job_defaults={"misfire_grace_time": 300})

async def often(): ...
def thread(number): ...
async def named(): ...

scheduler.add_job(often, "cron", minute="*/30", second="0,20")
scheduler.add_job(thread, "cron", hour=3, args=[1])
scheduler.add_job(thread, "cron", hour=4, args=[2])
scheduler.add_job(partial(thread, 3), "cron", hour=5)
scheduler.add_job(lambda: None, "cron", hour=6)
scheduler.add_job(named, "cron", hour=7, id="named")
"""


@pytest.fixture
def target(tmp_path: Path) -> str:
    """Return the target of a service."""
    (tmp_path / "app.py").write_text(SERVICE, encoding="utf-8")
    return f"{tmp_path / 'app.py'}:scheduler"


def test_one_lasts_a_minute_or_half_the_time_to_its_next_fire(target: str) -> None:
    """So that a job which is due each few seconds is not skipped; or as long as it is told to."""
    found = rehearse(target, nights=1, nodes=1, durations={"named": timedelta(minutes=20)})
    runs = found.runs[found.runs["job_id"] != "often"]
    seconds = (runs["finished_at"] - runs["started_at"]).dt.total_seconds()
    assert dict(zip(runs["job_id"], seconds, strict=True)) == {
        "thread": 60,
        "thread-2": 60,
        "thread-3": 60,
        "lambda": 60,
        "named": 1200,
    }
    often = found.runs[found.runs["job_id"] == "often"]
    assert len(often) == 96
    assert set(often["status"]) == {"ok"}


def test_a_job_without_an_id_has_the_same_one_on_each_node(target: str) -> None:
    """Its function's name."""
    found = rehearse(target, nights=1)
    names = found.runs.groupby("node")["job_id"].unique().map(sorted)
    assert names["A"] == names["B"]
