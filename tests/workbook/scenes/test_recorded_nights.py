"""The nights of notebook 09, and the lesson's database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler import KSTScheduler, cron
from kst_workbook.scenes.recorded_nights import (
    NIGHTS,
    SET_CLOCKS,
    LessonDatabase,
    one_night,
)

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

INSERT = "INSERT INTO crawl_runs (source, status, rows) VALUES ($1, $2, $3)"


async def crawl() -> None:
    """Work for twenty minutes."""
    await asyncio.sleep(20 * 60)


def register(scheduler: AsyncIOScheduler) -> None:
    """Add the crawl at 03:00."""
    scheduler.add_job(crawl, cron(hour=3), id="nps")


@in_loop
async def test_the_database_takes_the_lessons_placeholders() -> None:
    """And leaves out what the statement leaves out."""
    db = LessonDatabase()
    await db.execute(INSERT, "nps", "ok", 250)
    assert db.rows() == [("nps", "ok", 250, None, None)]
    assert db.outcome() == ["ok", 250, None, None]
    db.clear()
    assert db.rows() == []
    assert db.outcome() == ["no row", "", "", ""]


@in_loop
async def test_the_database_is_away_for_so_many_calls() -> None:
    """Then it works again."""
    db = LessonDatabase()
    db.clear(away=1)
    with pytest.raises(ConnectionError, match="is away"):
        await db.execute(INSERT, "nps", "ok", 250)
    await db.execute(INSERT, "nps", "ok", 251)
    assert [row[2] for row in db.rows()] == [251]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("down at 03:00", "missed"),
        ("frozen at 03:00", "missed"),
        ("killed at 03:05", "cancelled"),
        ("quiet", "ok"),
        ("stopped at 03:05", "cancelled"),
    ],
)
def test_each_night_does_to_the_crawl_what_its_name_says(name: str, status: str) -> None:
    """One run a night."""
    runs = one_night(register, KSTScheduler, **NIGHTS[name])
    assert list(runs["status"]) == [status]


@pytest.mark.parametrize("name", SET_CLOCKS)
def test_a_clock_that_is_set_does_not_end_a_crawl(name: str) -> None:
    """It ends ok, after twenty minutes."""
    runs = one_night(register, KSTScheduler, **SET_CLOCKS[name])
    assert list(runs["status"]) == ["ok"]
    assert list((runs["finished_at"] - runs["started_at"]).dt.total_seconds()) == [20 * 60]
