"""The world that the broken service works on counts what really happened."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from in_loop import in_loop
from kst_scheduler.errors import SimulationError
from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import kst
from kst_workbook.scenes.broken_service import (
    NPS_IS_AWAY,
    OutsideWorld,
    copy_database,
    crawl_nps,
    renew_token,
    send_report,
    shared_redis,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

DAY = kst(2026, 5, 4)


def worked(job: Callable[[], Any], day: int = 4) -> tuple[OutsideWorld, Any]:
    """Run a job at 03:00 of a day in May; return the outside world, and the row of the run."""

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(job, "cron", hour=3, id="job")

    start, outside = kst(2026, 5, day), OutsideWorld()
    with outside.open():
        result = simulate(register, start, start + timedelta(hours=6))
    return outside, result.runs.iloc[0]


def test_a_crawl_takes_six_minutes() -> None:
    """Its begin and its end are noted, in Korean time, with the node."""
    outside, run = worked(crawl_nps)
    assert [(event.at, event.node, event.what) for event in outside.events] == [
        (kst(2026, 5, 4, 3), "A", "crawl begun"),
        (kst(2026, 5, 4, 3, 6), "A", "crawl ended"),
    ]
    assert run["status"] == "ok"


def test_a_crawl_fails_while_the_nps_is_away() -> None:
    """Half a minute after it began."""
    outside, run = worked(crawl_nps, NPS_IS_AWAY.day)
    assert outside.when("crawl failed") == [kst(2026, 5, 5, 3, 0, 30)]
    assert run["status"] == "error"
    assert "503" in run["detail"]


def test_a_copy_knows_what_it_keeps_waiting() -> None:
    """The event loop, or a thread of its own."""

    async def on_the_loop() -> None:
        copy_database()

    async def in_a_thread() -> None:
        await asyncio.to_thread(copy_database)

    for job, where in [
        (on_the_loop, "on the event loop"),
        (in_a_thread, "in a thread"),
        (copy_database, "in a thread"),
    ]:
        outside, run = worked(job)
        assert [event.what for event in outside.events] == [f"copied {where}"]
        assert run["finished_at"] - run["started_at"] == timedelta(minutes=3)


@pytest.mark.parametrize(
    ("job", "what", "takes"),
    [(send_report, "report sent", 1), (renew_token, "token renewed", 0)],
)
def test_the_quick_jobs_are_noted(job: Callable[[], Any], what: str, takes: int) -> None:
    """At the moment at which they had done their work."""
    assert worked(job)[0].when(what) == [kst(2026, 5, 4, 3) + timedelta(seconds=takes)]


def test_the_redis_is_shared_within_an_office_only() -> None:
    """What one simulation leaves in it does not reach the next."""
    seen = []

    async def look() -> None:
        seen.append(await shared_redis().get("key"))
        await shared_redis().set("key", "taken")
        seen.append(await shared_redis().get("key"))

    for _ in range(2):
        worked(look)
    assert seen == [None, b"taken", None, b"taken"]


@in_loop
async def test_without_an_outside_world_nothing_works() -> None:
    """The message says what to write."""
    with pytest.raises(SimulationError, match=r'write check\("10\.3", register\)'):
        await send_report()
