from __future__ import annotations

import asyncio
import inspect
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException, UniqueViolation

from handed_off import NOWHERE, MemoryQueue, memory_queue
from in_loop import in_loop
from kst_scheduler.distributed import task_app, work, worker
from kst_scheduler.distributed.task_manager import requeue
from kst_scheduler.distributed.worker import KEPT_HOURS
from kst_scheduler.errors import KSTSchedulerError
from kst_scheduler.once.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STALLED = 0.03
"""Seconds; the queue is looked after every third of it."""


class Stalled:
    """A task of a worker that died, as far as it is looked at."""

    def __init__(self, number: int) -> None:
        self.id = number
        self.call_string = f"run[{number}]"


class Manager:
    """A manager of tasks whose answers are the test's."""

    def __init__(self, look: Callable[[int], list[Stalled]]) -> None:
        self.looks = 0
        self.freed: list[int] = []
        self.ended: list[int] = []
        self.deletions = 0
        self.refused: dict[int, Exception] = {}
        self.refused_ends: dict[int, Exception] = {}
        self._look = look

    async def get_stalled_jobs(self, **_options: Any) -> list[Stalled]:
        """Return what this look is to find."""
        self.looks += 1
        return self._look(self.looks)

    async def retry_job(self, task: Stalled) -> None:
        """Note that a task waits again, or raise what it is to raise."""
        if task.id in self.refused:
            raise self.refused[task.id]
        self.freed.append(task.id)

    async def finish_job(self, task: Stalled, *_arguments: Any, **_options: Any) -> None:
        """Note that a task has ended, or raise what it is to raise."""
        if task.id in self.refused_ends:
            raise self.refused_ends[task.id]
        self.ended.append(task.id)

    async def prune_stalled_workers(self, _seconds: float) -> None:
        """Have none to delete."""

    async def delete_old_jobs(self, *_arguments: Any, **_options: Any) -> None:
        """Note it."""
        self.deletions += 1


class App:
    """As much of an app as is looked at."""

    def __init__(self, manager: Manager) -> None:
        self.job_manager = manager
        self.tasks = task_app(NOWHERE).tasks


async def tidied(manager: Manager, looks: int) -> asyncio.Task[None]:
    """Keep a queue tidy until it was looked at so often; return the task, which is cancelled."""
    tidying = asyncio.create_task(worker._keep_clean(App(manager), STALLED))  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        while manager.looks < looks and not tidying.done():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)
    tidying.cancel()
    await asyncio.wait([tidying])
    return tidying


def outage() -> ConnectorException:
    """Return Procrastinate's error of a PostgreSQL that is away."""
    error = ConnectorException()
    error.__cause__ = psycopg.OperationalError("connection refused, password=hidden")
    return error


@pytest.mark.parametrize(
    ("error", "level", "reason", "freed"),
    [
        (outage(), logging.WARNING, "connection refused", 3),  # all were silent in the outage
        (KeyError("id"), logging.ERROR, "KeyError('id')", 2),
        (AssertionError(), logging.ERROR, "AssertionError()", 2),
        (TimeoutError(), logging.ERROR, "TimeoutError()", 2),
        (asyncio.CancelledError(), logging.ERROR, "CancelledError", 2),
    ],
    ids=lambda value: type(value).__name__,
)
@in_loop
async def test_whatever_fails_is_logged_and_the_next_look_is_made(
    caplog: pytest.LogCaptureFixture, error: BaseException, level: int, reason: str, freed: int
) -> None:
    """An outage, a fault of a library, and a cancellation that nobody asked of it."""

    def look(number: int) -> list[Stalled]:
        if number == 1:
            raise error
        return [Stalled(number)]

    manager = Manager(look)
    tidying = await tidied(manager, 4)
    assert tidying.cancelled()  # and not before
    assert manager.freed[:1] == [freed]
    (record,) = (each for each in caplog.records if "not looked after" in each.message)
    assert record.levelno == level
    assert record.message.startswith(f"the queue was not looked after: {reason}")
    assert record.exc_info is None
    assert "hidden" not in record.message


@in_loop
async def test_one_task_that_cannot_be_freed_keeps_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has ended meanwhile, say, or its row is damaged; each look would fail at it again."""
    manager = Manager(lambda _number: [Stalled(0), Stalled(1), Stalled(2), Stalled(3)])
    waits_already = UniqueViolation(constraint_name="", queueing_lock=None)
    refused_by_the_database = ConnectorException()
    refused_by_the_database.__cause__ = psycopg.errors.CheckViolation("no such status")
    manager.refused = {
        0: refused_by_the_database,
        1: ValueError("not in doing status"),
        2: waits_already,
    }
    await tidied(manager, 1)
    assert (manager.freed, manager.ended, manager.deletions) == ([3], [2], 1)
    assert "task run[1] could not be given to another worker: ValueError" in caplog.text


@in_loop
async def test_two_workers_drop_a_task_at_once() -> None:
    """Another one waits for its occurrence; the worker that comes second would end by the error."""
    manager, ended = Manager(lambda _number: []), ConnectorException()
    ended.__cause__ = psycopg.errors.RaiseException("Job was not found")
    manager.refused = {1: UniqueViolation(constraint_name="", queueing_lock=None)}
    manager.refused_ends = {1: ended}
    await requeue(manager, Stalled(1))  # type: ignore[arg-type]
    manager.refused_ends = {1: ConnectorException()}
    with pytest.raises(ConnectorException):
        await requeue(manager, Stalled(1))  # type: ignore[arg-type]


@in_loop
async def test_a_look_without_an_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that is dead without knowing it would else be waited for for ever."""
    monkeypatch.setattr(worker, "MAX_SECONDS_OF_A_LOOK", 0.02)
    manager = Manager(lambda _number: [])
    answered = manager.get_stalled_jobs

    async def hang_first(**options: Any) -> list[Stalled]:
        found = await answered(**options)
        if manager.looks == 1:
            await asyncio.sleep(60)
        return found

    manager.get_stalled_jobs = hang_first  # type: ignore[method-assign]
    assert (await tidied(manager, 2)).cancelled()
    assert "the queue was not looked after: TimeoutError()" in caplog.text


@in_loop
async def test_a_look_that_waited_for_postgresql_frees_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The workers that live show it in the moment after."""
    monkeypatch.setattr(worker, "MIN_SECONDS_AWAY", 0.01)
    manager = Manager(lambda number: [Stalled(number)])
    answered = manager.get_stalled_jobs

    async def wait_first(**options: Any) -> list[Stalled]:
        if not manager.looks:
            await asyncio.sleep(STALLED)
        return await answered(**options)

    manager.get_stalled_jobs = wait_first  # type: ignore[method-assign]
    async with asyncio.timeout(30):
        while not manager.freed:  # a busy machine may hold up another look
            await tidied(manager, manager.looks + 3)
    assert 1 not in manager.freed


@pytest.fixture
def queue() -> Iterator[MemoryQueue]:
    """Yield a queue in memory."""
    with memory_queue() as queue:
        yield queue


@in_loop
async def test_a_worker_ends_when_its_queue_is_no_longer_looked_after(
    queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that its supervisor starts another: what a dead worker was at would else be lost."""

    class Gone(BaseException):
        pass

    async def die(*_arguments: object) -> NoReturn:
        await asyncio.sleep(0)
        raise Gone("no one knows why")

    monkeypatch.setattr(worker, "_keep_clean", die)
    with pytest.raises(KSTSchedulerError, match=r"no longer looked after.*Gone.*start it again"):
        async with asyncio.timeout(30):
            await work(queue.app, queue.scheduler)


@in_loop
async def test_a_worker_that_fails_while_it_is_stopped_leaves_no_traceback(
    queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch, asyncio_log: Callable[[], list[str]]
) -> None:
    """Its error comes too late to start again; asyncio would log it as never retrieved."""
    is_at_work = asyncio.Event()

    async def fail_when_stopped(**_options: object) -> NoReturn:
        try:
            is_at_work.set()
            await asyncio.Event().wait()
        finally:
            raise outage()

    monkeypatch.setattr(queue.app, "run_worker_async", fail_when_stopped)
    working = asyncio.create_task(work(queue.app, queue.scheduler))
    await is_at_work.wait()
    working.cancel()
    await asyncio.wait([working])
    del working  # it holds the frames of its error, which hold the worker
    assert asyncio_log() == []


def test_tasks_that_failed_are_kept_as_long_as_rows() -> None:
    """A reader of the row finds the task that belongs to it."""
    retention = inspect.signature(Reconciler).parameters["retention"].default
    assert timedelta(hours=KEPT_HOURS) == retention == timedelta(days=90)


@in_loop
async def test_each_outage_between_looks_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """And its end."""

    def look(number: int) -> list[Stalled]:
        if number % 3:
            raise outage()
        return []

    caplog.set_level("INFO", logger=worker.__name__)
    await tidied(Manager(look), 7)
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "the queue was not looked after",
        "the queue is looked after again",
    ] * 2 + ["the queue was not looked after"]
