from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import make_url

from in_loop import in_loop
from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import kst
from kst_workbook.scenes.job_stores import (
    ROUND_TRIP,
    close_others,
    create_database,
    drop_database,
    far_away,
    list_jobs_elsewhere,
)

if TYPE_CHECKING:
    from pathlib import Path


def store_url(url: str) -> str:
    """Return the URL that a job store needs: it names the driver."""
    named = make_url(url).set(drivername="postgresql+psycopg")
    return named.render_as_string(hide_password=False)


def test_a_database_is_created_anew_and_dropped(postgres_url: str) -> None:
    """An older one goes, with whoever is connected to it, and so does the new one in the end."""
    url = create_database(postgres_url, "anew")
    old = psycopg.connect(url, autocommit=True)
    old.execute("CREATE TABLE remains (id int)")
    assert create_database(postgres_url, "anew") == url
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT to_regclass('remains')").fetchone() == (None,)
    drop_database(postgres_url, "anew")
    drop_database(postgres_url, "anew")
    with pytest.raises(psycopg.OperationalError, match="anew"):
        psycopg.connect(url)
    old.close()


def test_connections_are_closed_by_the_time_it_returns(postgres_url: str) -> None:
    """The next statement on each other one fails; its own, and new ones, go on."""
    with (
        psycopg.connect(postgres_url, autocommit=True) as own,
        psycopg.connect(postgres_url, autocommit=True) as other,
    ):
        close_others(own)
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            other.execute("SELECT 1")
        assert own.execute("SELECT 1").fetchone() == (1,)


def test_a_store_far_away_takes_its_time_but_not_for_its_start(postgres_url: str) -> None:
    """What is read, changed or deleted costs a round trip each; creating the table costs none."""
    store = far_away(SQLAlchemyJobStore(url=store_url(postgres_url)))
    spent: list[float] = []

    def register(scheduler: AsyncIOScheduler) -> None:
        begin = time.monotonic()
        scheduler.start(paused=True)
        spent.append(time.monotonic() - begin)
        scheduler.get_jobs()
        spent.append(time.monotonic() - begin)

    span = kst(2026, 5, 10), kst(2026, 5, 10, 1)
    simulate(register, *span, scheduler=lambda: AsyncIOScheduler(jobstores={"default": store}))
    store.engine.dispose()
    assert spent == [0, pytest.approx(ROUND_TRIP)]


@in_loop
async def test_another_process_lists_the_jobs_and_says_what_it_removed(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports from the folder, and each error it logs is one line."""
    module = tmp_path / "crawler_of_a_test.py"
    module.write_text("def crawl(): pass\ndef old(): pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    store = SQLAlchemyJobStore(url=store_url(postgres_url))
    scheduler = AsyncIOScheduler(jobstores={"default": store}, timezone="Asia/Seoul")
    scheduler.start(paused=True)
    for name in ("crawl", "old"):
        scheduler.add_job(f"crawler_of_a_test:{name}", "cron", hour=3, id=name)
    module.write_text("def crawl(): pass\n", encoding="utf-8")
    assert await list_jobs_elsewhere(store_url(postgres_url), tmp_path) == [
        'Unable to restore job "old" -- removing it',
        "LookupError: Error resolving reference crawler_of_a_test:old: error looking up object",
    ]
    assert [job.id for job in scheduler.get_jobs()] == ["crawl"]
    scheduler.shutdown()
    await asyncio.sleep(0)
