"""How a worker takes tasks and ends them while database sessions end and PostgreSQL restarts.

If Procrastinate's worker cannot fetch a task, it stops: it takes no more tasks, and waits until its
current ones have ended, which can take hours
(github.com/procrastinate-org/procrastinate/issues/1116). Here the answer is "no task", and the
worker fetches again.

The answer that was lost may have had a task in it. Then the task's row says that the worker runs
it, but no process does (procrastinate/issues/1518). So before the worker fetches again, each of its
tasks that this process does not have is put back into the queue::

    worker      fetches a task                             | asks: which tasks are mine?
    PostgreSQL        task 7 is worker 3's | session ends    task 7 -> 7 waits again | worker 3: 7

A COMMIT can be delayed, for example by a standby, until after that question. So each heartbeat asks
again.

A look of another worker deletes the row of a worker that was silent for long. PostgreSQL then
refuses to give it a task, and Procrastinate's worker stops in the same way. Here it registers
again, and gets a new row.
Checked on procrastinate 3.10.0.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Status
from procrastinate.manager import JobManager

from kst_scheduler.distributed.outages import (
    has_ended,
    is_outage,
    is_unregistered,
    reason_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from procrastinate.connector import BaseConnector
    from procrastinate.jobs import Job

_LOGGER: Final = logging.getLogger(__name__)


class TaskManager(JobManager):
    """Procrastinate's job manager; it also knows which tasks this process has in hand."""

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self._in_hand: set[int | None] = set()
        self._taking = asyncio.Lock()
        """Held during a fetch: until its end the task is not in hand, and would be put back."""
        self._unsure: set[int] = set()
        """Workers that may have been given a task in an answer that was lost."""
        self._refused: set[int] = set()
        """Workers whose rows are gone."""
        self._rows: dict[int, int] = {}
        """The row that a worker has now, where it is not the first one."""

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Return a task for a worker; None: there is none, or PostgreSQL is away."""
        async with self._taking:
            return await self._fetch(queues, worker_id)

    async def _fetch(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        try:
            if worker_id in self._refused:
                self._rows[worker_id] = await self.register_worker()
                self._refused.discard(worker_id)
            row = self._rows.get(worker_id, worker_id)
            if worker_id in self._unsure:
                await self._put_back(row)
                self._unsure.discard(worker_id)
            task = await super().fetch_job(queues, row)
        except ConnectorException as error:
            if is_unregistered(error):
                _LOGGER.warning("a worker registers again, as it was silent: %s", reason_of(error))
                self._refused.add(worker_id)
                return None
            if not is_outage(error):
                raise
            if worker_id not in self._unsure:  # one line an outage
                _LOGGER.warning(
                    "no task could be taken, and it is tried again: %s", reason_of(error)
                )
            self._unsure.add(worker_id)
            return None
        if task is not None:
            self._in_hand.add(task.id)
        return task

    async def update_heartbeat(self, worker_id: int) -> None:
        """Write that a worker lives, and put back what it was given without an answer."""
        row = self._rows.get(worker_id, worker_id)
        await super().update_heartbeat(row)
        if self._taking.locked():  # a fetch may hang, and the next heartbeat must not wait for it
            return
        async with self._taking:
            try:
                await self._put_back(row)
            except ConnectorException as error:
                if not is_outage(error):
                    raise

    async def unregister_worker(self, worker_id: int) -> None:
        """Write that a worker has ended."""
        self._unsure.discard(worker_id)
        self._refused.discard(worker_id)
        await super().unregister_worker(self._rows.pop(worker_id, worker_id))

    async def finish_job_by_id_async(self, job_id: int, status: Status, delete_job: bool) -> None:
        """Write that a task has ended."""
        write = super().finish_job_by_id_async
        await self._let_go(job_id, partial(write, job_id, status, delete_job))

    async def retry_job_by_id_async(self, job_id: int, *arguments: Any, **options: Any) -> None:
        """Let a task wait in the queue again."""
        write = super().retry_job_by_id_async
        await self._let_go(job_id, partial(write, job_id, *arguments, **options))

    async def _let_go(self, job_id: int, write: Callable[[], Awaitable[None]]) -> None:
        """Write what happens to a task, which is then no longer in hand.

        If it was written and the answer was lost, the next try finds nothing to write.
        """
        try:
            await write()
        except ConnectorException as error:
            if job_id not in self._in_hand or not has_ended(error):
                raise
            _LOGGER.debug("task %d has ended already: %s", job_id, reason_of(error))
        finally:
            self._in_hand.discard(job_id)

    async def _put_back(self, worker_id: int) -> None:
        in_hand = set(self._in_hand)  # before the question: what ends during it is not put back
        for task in await self.list_jobs_async(worker_id=worker_id, status=Status.DOING.value):
            if task.id not in in_hand:
                await requeue(self, task)


async def requeue(manager: JobManager, task: Job) -> None:
    """Put back a task that no process works on; do nothing if it has ended, or waits already."""
    try:
        try:
            await manager.retry_job(task)
        except UniqueViolation:  # another task waits for the same occurrence
            await manager.finish_job(task, Status.ABORTED, delete_job=True)
    except ConnectorException as error:
        if not has_ended(error):  # another worker was quicker, in either
            raise
