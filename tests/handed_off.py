"""A queue in memory, and a worker that takes what is due in it: Procrastinate's own, for tests."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from procrastinate.testing import InMemoryConnector

from kst_scheduler.distributed import hand_off, task_app
from kst_scheduler.distributed.known_jobs import known_jobs
from kst_scheduler.distributed.names import QUEUE, TASK
from kst_scheduler.distributed.task_runner import TASK_RUNNER, TaskRunner
from kst_scheduler.ledger import LedgerRow, MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import RUNNING, Occurrence
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
"""An address for an app that is given another connector."""


class MemoryQueue:
    """Schedulers' side, queue and worker's side, in one process and without a database."""

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self.connector = InMemoryConnector()
        self.app = task_app(NOWHERE)
        self.ledger = MemoryLedger() if ledger is None else ledger
        self.scheduler = KSTScheduler()
        self._shift: TaskRunner | None = None

    def add(
        self,
        job: Callable[..., Awaitable[object]],
        *,
        retry: Any = None,
        job_id: str = "nps",
        args: Any = None,
        **options: Any,
    ) -> Callable[..., Awaitable[object]]:
        """Have the worker know a job; return what the schedulers add."""
        options = {"catch_up": timedelta(hours=1), "instance": "W", **options}
        handed = hand_off(once(self.ledger, **options)(job), self.app, retry=retry)
        self.scheduler.add_job(handed, cron(hour=3), args, id=job_id)
        self._shift = None
        return handed

    @property
    def runner(self) -> TaskRunner:
        """What the worker knows and is at."""
        self._shift = self._shift or TaskRunner(known_jobs(self.scheduler))
        return self._shift

    async def put(self, occurrence: Occurrence, **changes: Any) -> None:
        """Put a task into the queue, as hand_off does but for what is changed."""
        payload: dict[str, Any] = {
            "job_id": occurrence.job_id,
            "scheduled_at": occurrence.scheduled_at.isoformat(),
            "manual": occurrence.manual,
            "version": 1,
        }
        task = self.app.tasks[TASK].configure(queueing_lock=occurrence.key)
        await task.defer_async(**{**payload, **changes})

    async def work(self) -> None:
        """Take all that is due."""
        await self.app.run_worker_async(
            queues=[QUEUE],
            wait=False,
            listen_notify=False,
            install_signal_handlers=False,
            delete_jobs="successful",
            additional_context={TASK_RUNNER: self.runner},
        )

    def tasks(self) -> list[dict[str, Any]]:
        """Return what is in the queue."""
        return list(self.connector.jobs.values())

    def task(self) -> dict[str, Any]:
        """Return the only task."""
        (task,) = self.tasks()
        return task

    def wait_is_over(self) -> None:
        """Let the time of every task have come."""
        for task in self.tasks():
            task["scheduled_at"] = None

    async def row(self) -> LedgerRow:
        """Return the only row."""
        (row,) = await self.ledger.rows()
        return row


@contextlib.contextmanager
def memory_queue(ledger: MemoryLedger | None = None) -> Iterator[MemoryQueue]:
    """Yield a queue in memory."""
    queue = MemoryQueue(ledger)
    with queue.app.replace_connector(queue.connector):
        yield queue


async def fire(job: Callable[..., Awaitable[object]], occurrence: Occurrence) -> object:
    """Run a job as the executor of a scheduler does."""
    RUNNING.set((occurrence.job_id, occurrence.scheduled_at, occurrence.manual))
    return await job()
