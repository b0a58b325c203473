"""Proves every few seconds that the service could run a job, so that a probe need not wait for it.

Alive and ready are two questions. A process that is not alive is helped by a restart: its event
loop is blocked (then nothing answers) or its scheduler has stopped. One that is not ready cannot
run a job as its database is away, full or read-only: a restart helps nobody.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from apscheduler.schedulers.base import STATE_RUNNING, STATE_STOPPED

from kst_scheduler.once.reconcile.once_jobs import once_of
from kst_scheduler.redaction import without_passwords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from kst_scheduler.ledger import Ledger
    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS: Final = 5.0
SECONDS_TO_ANSWER: Final = 10.0
"""As long as a statement may take: a machine that starts 1,000 jobs is busy, and not ill."""
SECONDS_OF_PROOF: Final = 30.0
"""How long a proof holds, where the next one does not come."""


class Watch:
    """Knows whether a part of the service worked when it was last tried."""

    def __init__(self, part: str, **steps: Callable[[], Awaitable[object]]) -> None:
        """Take what the part must be able to do, each by its name: reached, written."""
        self._part = part
        self._steps = steps
        self._step = ""
        self._proved_at: float | None = None
        self.trouble: str | None = None
        """What is wrong, without any name or address; None: nothing."""

    @property
    def reason(self) -> str | None:
        """Why the part is not ready; None when it is."""
        if self.trouble:
            return self.trouble
        now = asyncio.get_running_loop().time()
        if self._proved_at is None or now - self._proved_at > SECONDS_OF_PROOF:
            return f"{self._part} was not tried within {SECONDS_OF_PROOF:g} s"
        return None

    async def keep_looking(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            await self.look()

    async def look(self) -> None:
        """Try the part once."""
        look = asyncio.create_task(self._prove())
        try:
            # Not cancelled when it is late: that would cost a connection each time.
            done, _ = await asyncio.wait([look], timeout=SECONDS_TO_ANSWER)
            if not done:
                self._note(f"{self._part} does not answer in time")
                # `await look` would cancel the look in place of this task. If the look then answers
                # all the same, the watch never ends.
                await asyncio.wait([look])
            look.result()
        except Exception as error:  # noqa: BLE001 - whatever it is, the part did not work
            self._note(f"{self._part} cannot be {self._step}", error)
        else:
            self._proved_at = asyncio.get_running_loop().time()
            self._note(None)
        finally:
            look.cancel()

    async def _prove(self) -> None:
        for step, prove in self._steps.items():
            self._step = step
            await prove()

    def _note(self, trouble: str | None, error: Exception | None = None) -> None:
        if trouble != self.trouble:  # one line a change
            logger.log(
                logging.WARNING if trouble else logging.INFO,
                "%s%s",
                trouble or f"{self._part} answers again",
                without_passwords(f": {error}") if error else "",
            )
        self.trouble = trouble


class LedgerWatch(Watch):
    """Knows whether a claim could be read and written."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__("the ledger", reached=self._read, written=self._write)
        self._ledger = ledger

    async def _read(self) -> None:
        await self._ledger.rows(limit=1)

    async def _write(self) -> None:
        await self._ledger.prove_writable()


class QueueWatch(Watch):
    """Knows whether a run could be handed off; without jobs that are, there is no queue to ask."""

    def __init__(self, scheduler: KSTScheduler) -> None:
        super().__init__("the queue", used=self._ask)
        self._scheduler = scheduler

    async def _ask(self) -> None:
        jobs = map(once_of, self._scheduler.get_jobs())
        queues = {id(job.queue): job.queue for job in jobs if job and job.queue}
        if not queues:
            return
        from kst_scheduler.distributed.queue import TaskQueue  # noqa: PLC0415 - it is loaded by now

        for queue in queues.values():
            if isinstance(queue, TaskQueue):
                await queue.prove_usable()


class SchedulerWatch(Watch):
    """Knows whether the scheduler still wakes up.

    Where a job store raises while due jobs are looked for, APScheduler sets no timer for the next
    time: its state stays "running", and nothing fires any more. Of its private names this uses
    ``AsyncIOScheduler._timeout``; checked on 3.11.3.
    """

    def __init__(self, scheduler: KSTScheduler) -> None:
        super().__init__("the scheduler")
        self._scheduler = scheduler
        self._was_asleep = False

    async def look(self) -> None:
        """Look once; one that has just been given its first job wakes up in the next turn."""
        is_asleep = self._is_asleep()
        stays = is_asleep and self._was_asleep
        self._was_asleep = is_asleep
        self._note("the scheduler does not wake up any more" if stays else None)

    def _is_asleep(self) -> bool:
        scheduler = self._scheduler
        if scheduler.state != STATE_RUNNING or scheduler._timeout is not None:  # noqa: SLF001
            return False
        return any(job.next_run_time for job in scheduler.get_jobs())


@asynccontextmanager
async def watched(*watches: Watch) -> AsyncIterator[None]:
    """Keep looking meanwhile; what is wrong already is known from the start."""
    for watch in watches:
        await watch.look()
    tasks = [asyncio.create_task(watch.keep_looking()) for watch in watches]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def reasons_not_alive(scheduler: KSTScheduler, watch: SchedulerWatch) -> list[str]:
    """Return why a restart would help; nothing when it would not.

    That this is called at all shows that the event loop turns. A paused scheduler is alive.
    """
    stopped = ["the scheduler has stopped"] if scheduler.state == STATE_STOPPED else []
    return stopped + ([watch.trouble] if watch.trouble else [])


def reasons_not_ready(scheduler: KSTScheduler, watches: Iterable[Watch]) -> list[str]:
    """Return why jobs that are due now would not run; nothing when they would."""
    stopped = [] if scheduler.state == STATE_RUNNING else ["the scheduler does not run"]
    return stopped + [watch.reason for watch in watches if watch.reason]
