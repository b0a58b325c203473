from __future__ import annotations

import functools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from procrastinate import App, RetryStrategy
from procrastinate.exceptions import ConnectorException
from procrastinate.testing import InMemoryConnector

from handed_off import fire, memory_queue
from in_loop import in_loop
from kst_scheduler.distributed import hand_off, task_app
from kst_scheduler.errors import InvalidArgumentError, LedgerUnavailableError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from collections.abc import Callable

THREE = Occurrence("nps", kst(2026, 5, 10, 3))


@once(MemoryLedger())
async def crawl(month: str = "05") -> int:
    """Crawl a month."""
    return len(month)


class FailingConnector(InMemoryConnector):
    """A connector whose first statements fail."""

    def __init__(self, times: int, cause: Exception) -> None:
        super().__init__()
        self.times = times
        self.cause = cause

    async def execute_query_all_async(self, query: str, **arguments: Any) -> Any:
        """Fail as often as was said."""
        self.times -= 1
        if self.times >= 0:
            raise ConnectorException from self.cause
        return await super().execute_query_all_async(query, **arguments)


@in_loop
async def test_a_fire_puts_the_occurrence_into_the_queue() -> None:
    """Under its key, and nothing of it runs here."""
    with memory_queue() as queue:
        ran: list[int] = []

        async def job() -> None:
            ran.append(1)

        assert await fire(queue.add(job), THREE) is None
        task = queue.task()
        assert (task["queueing_lock"], task["lock"]) == (THREE.key, None)
        assert (task["status"], task["scheduled_at"]) == ("todo", None)
        assert task["args"]["job_id"] == "nps"
        assert not ran
        assert not await queue.ledger.rows()


@in_loop
async def test_every_replica_may_fire(caplog: pytest.LogCaptureFixture) -> None:
    """The occurrence waits once; that it waits already is a line at DEBUG, and no error."""
    caplog.set_level("DEBUG", "kst_scheduler")
    with memory_queue() as queue:
        for _ in range(3):
            await fire(hand_off(crawl, queue.app), THREE)
        assert len(queue.tasks()) == 1
    assert caplog.text.count(f"{THREE} waits in the queue already") == 2
    assert {record.levelname for record in caplog.records} <= {"DEBUG", "INFO"}


def test_it_stays_the_job_for_whoever_looks_at_it() -> None:
    """Its name and docstring; how it is run once, and where it waits."""
    app = task_app("postgresql://app:secret@db/crawl")
    handed: Any = hand_off(crawl, app, retry=3)
    assert (handed.__name__, handed.__doc__) == ("crawl", "Crawl a month.")
    assert handed.once.ledger is crawl.once.ledger
    assert handed.once.queue is not None
    assert crawl.once.queue is None
    assert handed.handed_off.job is crawl
    assert handed.handed_off.retry.max_attempts == 3
    KSTScheduler().add_job(handed, cron(hour=3), ["05"], id="nps")


def test_without_a_queue_the_job_runs_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """So the same code serves with and without PostgreSQL; the log says so."""
    caplog.set_level("INFO", "kst_scheduler")
    assert hand_off(crawl, None) is crawl
    assert "'crawl' is not handed off, as there is no queue: it runs here" in caplog.text


async def not_once() -> None:
    """Stand for a job that nobody claims."""


@functools.wraps(crawl)
async def around(*args: Any) -> int:
    """Wrap the job after once."""
    return await crawl(*args)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (not_once, r"'not_once' is not what once made .* write hand_off\(once\(ledger\)\(job\)"),
        (None, "None is not what once made of a job"),
        (around, "'crawl' was decorated after once.* write the other decorator below @once"),
        (hand_off(crawl, task_app("postgresql://db/crawl")), "'crawl' is handed off already"),
    ],
)
def test_what_a_worker_could_not_run_is_refused(job: Any, message: str) -> None:
    """Where it is handed off, and not at three in the morning."""
    with pytest.raises(InvalidArgumentError, match=message):
        hand_off(job, task_app("postgresql://db/crawl"))


@pytest.mark.parametrize("app", [App(connector=InMemoryConnector()), "postgresql://db/crawl"])
def test_an_app_without_the_task_is_refused(app: Any) -> None:
    """It would put in what no worker knows."""
    with pytest.raises(InvalidArgumentError, match=r"write hand_off\(job, task_app\(database_url"):
        hand_off(crawl, app)


@pytest.mark.parametrize("retry", [-1, 2.5, "3"])
def test_a_retry_that_cannot_be_meant_is_refused(retry: Any) -> None:
    """With what to write."""
    with pytest.raises(
        InvalidArgumentError, match=f"retry={retry!r} does not say .* write retry=3"
    ):
        hand_off(crawl, None, retry=retry)


def test_procrastinate_s_own_strategies_are_taken_as_they_are() -> None:
    """A strategy, a number, True for ever, 0 or None for never."""
    app = task_app("postgresql://db/crawl")
    strategy = RetryStrategy(max_attempts=3, wait=60)
    handed: Any = hand_off(crawl, app, retry=strategy)
    assert handed.handed_off.retry is strategy
    for never in (None, 0, False):
        handed = hand_off(crawl, app, retry=never)
        assert handed.handed_off.retry is None


@pytest.mark.parametrize("url", ["sqlite:////tmp/runs.db", "mysql://app:secret@db/crawl", "db"])
def test_tasks_wait_in_postgresql_only(url: str) -> None:
    """The message says what to write, and holds no password."""
    with pytest.raises(InvalidArgumentError, match=r"postgresql://user:password@host") as caught:
        task_app(url)
    assert "secret" not in str(caught.value)


@in_loop
async def test_a_job_id_that_is_too_long_is_refused_at_the_fire() -> None:
    """With the number of characters, and what a ledger takes."""
    with memory_queue() as queue:
        long = Occurrence("n" * 501, THREE.scheduled_at)
        with pytest.raises(InvalidArgumentError, match="501 characters; a ledger takes at most"):
            await fire(hand_off(crawl, queue.app), long)
        assert queue.tasks() == []


def handed_with(patience: timedelta, connector: InMemoryConnector) -> Callable[..., Any]:
    """Return a job that is handed off to a queue behind this connector."""
    app = task_app("postgresql://app:secret@db/crawl")
    app.connector = app.job_manager.connector = connector

    @once(MemoryLedger(), patience=patience)
    async def job() -> None: ...

    return hand_off(job, app)


@in_loop
async def test_a_database_that_is_away_is_asked_again() -> None:
    """For as long as the job's patience."""
    away = psycopg.OperationalError("server closed the connection unexpectedly")
    connector = FailingConnector(2, away)
    await fire(handed_with(timedelta(seconds=30), connector), THREE)
    assert len(connector.jobs) == 1


@in_loop
async def test_a_database_that_stays_away_is_an_error() -> None:
    """The occurrence has no row then, so a Reconciler catches it up."""
    away = psycopg.OperationalError("cannot reach postgresql://app:secret@db/crawl")
    job = handed_with(timedelta(seconds=0.15), FailingConnector(1000, away))
    with pytest.raises(LedgerUnavailableError, match=r"the hand-off of nps@.* given up") as it:
        await fire(job, THREE)
    assert "secret" not in str(it.value)


@in_loop
async def test_a_bug_is_not_an_outage() -> None:
    """Asking again would not mend it."""
    connector = FailingConnector(1, psycopg.errors.UndefinedFunction("no such function"))
    with pytest.raises(ConnectorException):
        await fire(handed_with(timedelta(seconds=30), connector), THREE)
    assert connector.times == 0
