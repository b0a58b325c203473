from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from procrastinate.testing import InMemoryConnector

from in_loop import in_loop
from kst_scheduler.distributed.task_manager import TaskManager


class Task:
    """A task, as far as it is looked at."""

    def __init__(self, number: int) -> None:
        self.id = number


def failing(cause: Exception) -> ConnectorException:
    """Return Procrastinate's error for one of the driver's."""
    error = ConnectorException()
    error.__cause__ = cause
    return error


@in_loop
async def test_what_a_worker_has_in_hand_is_not_put_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After an outage, what its row gives to the worker and nobody works on waits again."""
    away = failing(psycopg.OperationalError("the server closed the connection"))
    answers: list[Any] = [None, away, Task(1)]
    looks: list[list[Task] | Exception] = [[Task(1), Task(2)], away]
    put_back: list[int] = []

    async def fetch(*_arguments: Any) -> Any:
        answer = answers.pop()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def tasks_of_the_worker(*_arguments: Any, **_options: Any) -> list[Task]:
        look = looks.pop()
        if isinstance(look, Exception):
            raise look
        return look

    async def retry(_manager: JobManager, task: Task) -> None:
        put_back.append(task.id)

    async def end(*_arguments: Any) -> None:
        raise failing(psycopg.errors.RaiseException('Job was not found or not in "doing"'))

    monkeypatch.setattr(JobManager, "fetch_job", fetch)
    monkeypatch.setattr(JobManager, "list_jobs_async", tasks_of_the_worker)
    monkeypatch.setattr(JobManager, "retry_job", retry)
    monkeypatch.setattr(JobManager, "finish_job_by_id_async", end)
    manager = TaskManager(InMemoryConnector())
    fetched = [await manager.fetch_job(["jobs"], 3) for _ in range(4)]
    assert [task and task.id for task in fetched] == [1, None, None, None]
    assert put_back == [2]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("no task could be taken, and it is tried again: the serv")
    await manager.finish_job_by_id_async(1, Status.SUCCEEDED, delete_job=True)
    with pytest.raises(ConnectorException):  # it is no longer in hand
        await manager.finish_job_by_id_async(1, Status.SUCCEEDED, delete_job=True)


@in_loop
async def test_a_look_and_a_fetch_are_never_at_work_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is being fetched is not in hand yet; what ends during a look still was."""
    fetching, answered, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    looks = 0
    put_back: list[int] = []

    async def fetch(*_arguments: Any) -> Task:
        fetching.set()
        await answered.wait()
        return Task(1)

    async def tasks_of_the_worker(*_arguments: Any, **_options: Any) -> list[Task]:
        nonlocal looks
        looks += 1
        await ended.wait()
        return [Task(1), Task(2)]

    async def retry(_manager: JobManager, task: Task) -> None:
        put_back.append(task.id)

    async def write(*_arguments: Any, **_options: Any) -> None: ...

    monkeypatch.setattr(JobManager, "fetch_job", fetch)
    monkeypatch.setattr(JobManager, "list_jobs_async", tasks_of_the_worker)
    monkeypatch.setattr(JobManager, "retry_job", retry)
    monkeypatch.setattr(JobManager, "update_heartbeat", write)
    monkeypatch.setattr(JobManager, "finish_job_by_id_async", write)
    manager = TaskManager(InMemoryConnector())
    fetch_job = asyncio.create_task(manager.fetch_job(["jobs"], 3))
    await fetching.wait()
    async with asyncio.timeout(30):
        await manager.update_heartbeat(3)  # does not wait for the fetch
    assert looks == 0
    answered.set()
    await fetch_job
    heartbeat = asyncio.create_task(manager.update_heartbeat(3))
    for _ in range(5):
        await asyncio.sleep(0)
    assert looks == 1
    await manager.finish_job_by_id_async(1, Status.SUCCEEDED, delete_job=True)
    fetch_job = asyncio.create_task(manager.fetch_job(["jobs"], 3))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not fetch_job.done()
    ended.set()
    await asyncio.wait([heartbeat, fetch_job])
    assert put_back == [2]


@in_loop
async def test_a_worker_lives_while_it_cannot_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Procrastinate's worker would stop; the next heartbeat looks again."""

    async def fail(*_arguments: Any, **_options: Any) -> None:
        raise failing(psycopg.OperationalError("the server closed the connection"))

    async def write(*_arguments: Any) -> None: ...

    monkeypatch.setattr(JobManager, "list_jobs_async", fail)
    monkeypatch.setattr(JobManager, "update_heartbeat", write)
    await TaskManager(InMemoryConnector()).update_heartbeat(3)
