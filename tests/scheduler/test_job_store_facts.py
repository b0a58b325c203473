"""What notebook 08 says of APScheduler's SQLAlchemyJobStore, proved on a real PostgreSQL.

The nights are simulated. A new release that changes one of these fails here by name.
"""

from __future__ import annotations

import asyncio
import pickle
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import make_url

from kst_scheduler.runs.table import duplicates
from kst_scheduler.simulation import Crash, current_node, simulate
from kst_scheduler.timezone import KST, kst
from kst_workbook.scenes.job_stores import close_others, far_away

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from kst_scheduler.simulation import SimulationResult

NIGHT = kst(2026, 5, 10), kst(2026, 5, 10, 5)
DOWN = Crash("A", kst(2026, 5, 10, 2, 50), timedelta(minutes=30))


async def crawl() -> None:
    """Stand for a job; a store knows it by its module and name."""


class Stores:
    """Schedulers on one table."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._stores: list[SQLAlchemyJobStore] = []
        store = self.store()
        store.jobs_t.create(store.engine)

    def store(self, **options: Any) -> SQLAlchemyJobStore:
        """Return a job store with a pool of its own."""
        url = make_url(self.url).set(drivername="postgresql+psycopg")
        self._stores.append(SQLAlchemyJobStore(url=url, engine_options=options))
        return self._stores[-1]

    def close(self) -> None:
        """Close all connections."""
        for store in self._stores:
            store.engine.dispose()

    def scheduler(self, **options: Any) -> AsyncIOScheduler:
        """Return a scheduler as the lesson makes it."""
        return AsyncIOScheduler(jobstores={"default": self.store(**options)}, timezone=KST)

    def far_scheduler(self) -> AsyncIOScheduler:
        """Return one whose statements take two milliseconds of the simulated night."""
        return AsyncIOScheduler(jobstores={"default": far_away(self.store())}, timezone=KST)

    def execute(self, statement: str, values: Any = ()) -> Any:
        """Run a statement beside all schedulers; return the cursor's rows, if it has any."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def ids(self) -> list[str]:
        """Return what is in the table."""
        return [row[0] for row in self.execute("SELECT id FROM apscheduler_jobs ORDER BY id")]


@pytest.fixture
def stores(postgres_url: str) -> Iterator[Stores]:
    """Yield a fresh table."""
    stores = Stores(postgres_url)
    yield stores
    stores.close()


def nightly(scheduler: AsyncIOScheduler, **options: Any) -> None:
    """Add a job at 03:00, whoever has added it before."""
    scheduler.add_job(crawl, "cron", hour=3, id="nightly", replace_existing=True, **options)


def added_once(scheduler: AsyncIOScheduler, **options: Any) -> None:
    """Add it at the first start only."""
    if datetime.now(KST) < DOWN.at:
        nightly(scheduler, **options)


def hourly(scheduler: AsyncIOScheduler) -> None:
    """Add a job at each full hour."""
    scheduler.add_job(crawl, "cron", minute=0, id="hourly", replace_existing=True)


def hours(runs: pd.DataFrame, **equal: str) -> list[int]:
    """Return the hours of the rows whose columns are so."""
    for column, value in equal.items():
        runs = runs[runs[column] == value]
    return [moment.hour for moment in runs["scheduled_at"]]


def test_it_makes_up_for_a_missed_run_within_the_grace_time(stores: Stores) -> None:
    """Where nobody adds the job again, the restart reads that 03:00 is due."""
    register = partial(added_once, misfire_grace_time=3600)
    runs = simulate(register, *NIGHT, incidents=[DOWN], scheduler=stores.scheduler).runs
    assert list(runs["status"]) == ["ok"]
    assert runs["started_at"].item() == DOWN.end


def test_the_grace_time_is_asked_as_ever(stores: Stores) -> None:
    """A run that is 20 minutes late is lost to the lesson's 300 seconds, with a line in the log."""
    register = partial(added_once, misfire_grace_time=300)
    night = simulate(register, *NIGHT, incidents=[DOWN], scheduler=stores.scheduler)
    assert list(night.runs["status"]) == ["missed"]
    assert night.log["message"].item().endswith("was missed by 0:20:00")


def test_adding_the_job_at_each_start_loses_the_missed_run(stores: Stores) -> None:
    """With replace_existing the next run time is computed anew: no event, and nothing logged."""
    events: list[Any] = []

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_listener(events.append, EVENT_JOB_EXECUTED | EVENT_JOB_MISSED)
        nightly(scheduler, misfire_grace_time=3600)

    night = simulate(register, *NIGHT, incidents=[DOWN], scheduler=stores.scheduler)
    assert list(night.runs["status"]) == ["missed"]
    assert events == []
    assert night.log.empty


def test_two_schedulers_run_every_slot_twice(stores: Stores) -> None:
    """Each reads what is due before the other has written that it is not."""
    runs = simulate(hourly, *NIGHT, nodes=2, scheduler=stores.far_scheduler).runs
    assert duplicates(runs)["runs"].tolist() == [2, 2, 2, 2]


def test_a_one_shot_job_ends_one_of_two_schedulers(stores: Stores) -> None:
    """Who comes second to remove it raises out of its look, and sets no timer again."""
    raised: list[tuple[str, str]] = []

    def register(scheduler: AsyncIOScheduler) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda _loop, what: raised.append((current_node(), repr(what["exception"])))
        )
        hourly(scheduler)
        date = {"run_date": kst(2026, 5, 10, 1, 30), "id": "report"}
        scheduler.add_job(crawl, "date", **date, replace_existing=True)

    night = simulate(register, *NIGHT, nodes=2, scheduler=stores.far_scheduler)
    ((dead, error),) = raised
    assert error == "JobLookupError('No job by the id of report was found')"
    assert hours(night.runs, node=dead, job_id="hourly") == [1]
    assert duplicates(night.runs)["job_id"].tolist() == ["hourly", "report"]
    assert night.log.empty


def test_a_read_that_fails_is_tried_again_after_ten_seconds(stores: Stores) -> None:
    """A restart of the database is noticed at the next run, which a grace of 1 s then loses."""

    def restart() -> None:
        with psycopg.connect(stores.url, autocommit=True) as connection:
            close_others(connection)

    def register(scheduler: AsyncIOScheduler) -> None:
        nightly(scheduler)
        asyncio.get_running_loop().call_later(2.5 * 3600, restart)

    night = simulate(register, *NIGHT, scheduler=stores.scheduler)
    assert list(night.runs["detail"]) == ["0:00:10 late, grace time 1 s"]
    pinging = partial(stores.scheduler, pool_pre_ping=True)
    assert list(simulate(register, *NIGHT, scheduler=pinging).runs["status"]) == ["ok"]


def test_what_cannot_be_imported_is_deleted_by_whoever_lists_it(stores: Stores) -> None:
    """A renamed function's row goes, and so does a payload's, whose code has run by then."""
    before: list[str] = []

    def register(scheduler: AsyncIOScheduler) -> None:
        nightly(scheduler)
        scheduler.start()
        stores.execute("UPDATE apscheduler_jobs SET id = 'kept'")
        for name, state in {
            "gone": renamed(scheduler),
            "payload": pickle.dumps(Harmless()),
        }.items():
            stores.execute("INSERT INTO apscheduler_jobs VALUES (%s, 4e9, %s)", (name, state))
        before.extend(stores.ids())
        scheduler.get_jobs()

    night: SimulationResult = simulate(register, *NIGHT, scheduler=stores.scheduler)
    assert before == ["gone", "kept", "payload"]
    assert stores.ids() == ["kept"]
    assert Harmless.calls == 1
    assert night.log["message"].tolist() == [
        f'Unable to restore job "{name}" -- removing it' for name in ("gone", "payload")
    ]


def renamed(scheduler: AsyncIOScheduler) -> bytes:
    """Return the state of a job whose function has another name now."""
    (job,) = scheduler.get_jobs()
    state = job.__getstate__()
    return pickle.dumps({**state, "func": f"{__name__}:crawl_under_its_old_name"})


class Harmless:
    """A pickle that calls a function when it is read."""

    calls = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the reader count."""
        return count_a_call, ()


def count_a_call() -> None:
    """Note that a pickle was read."""
    Harmless.calls += 1
