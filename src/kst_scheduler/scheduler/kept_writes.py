"""Writes that could not be made yet, kept by the process and tried again until they are made.

What a run came to is known when it ends, and the ledger may be away just then. A process that lives
does not forget it: it tries again every second, before each claim and each look of its own, and
once more at the end of a drain. For the sake of the drain it stands in this room, and knows no
ledger.

In this process the outcome comes before any claim of the same job: such a claim waits while an
outcome is being written, and is put off while one is kept::

    run 1   work ends | write fails | kept        | fails       | written
    run 2             | claim: waits for run 1 .. | put off     | the row of run 1 has its end
    ledger            [............ away .................]

Another process cannot know what is kept here. While the lease of the row holds, nobody takes it: so
an outage that is over before the lease is does no harm, and a lease was renewed when a third of it
had gone by. After a longer one, those that have noticed it leave the row alone at first, a look
until the next look (once.reconcile), a claim for some seconds (once.takeover).
A replica that has not noticed it, and claims before the next try here (a second), takes over or
closes the run: then the kept outcome is refused, as its attempt has gone::

    A   work ends | write fails, is kept | fails    |         | written
    B             | claim fails          | fails    | A's lease is over: put off | claims the next
    C                                               | claim: takes A's row, if it is before A
    ledger        [............. away ..............]
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator

    Write = Callable[[], Awaitable[bool | None]]

SECONDS_BETWEEN_TRIES: Final = 1.0
LAST_WRITE_SECONDS: Final = 1.0
"""How long the end of a drain tries to write what the ledger could not take before."""
SECONDS_BETWEEN_LOOKS: Final = 0.05
"""How often a claim looks whether an outcome has been written meanwhile."""
MAX_KEPT: Final = 1_000
"""How many writes a process keeps; each is a few kilobytes at most."""

_LOGGER: Final = logging.getLogger(__name__)


class LedgerJob(NamedTuple):
    """The job of a ledger whose outcome is written."""

    where: Hashable
    """Its ledger; when one write there fails, the others are not tried."""
    job_id: str


class KeptWrites:
    """The writes that one event loop keeps."""

    def __init__(self) -> None:
        self._writes: dict[tuple[LedgerJob, Hashable], Write] = {}
        self._in_progress: Counter[LedgerJob] = Counter()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._writes)

    def keep(self, job: LedgerJob, name: Hashable, write: Write) -> bool:
        """Keep a write until it returns True; False when 1,000 are kept already.

        Args:
            job: whose outcome is written.
            name: what is written; a later write of the same name takes its place.
            write: returns whether there is nothing more to do; None, where it failed for a reason
                that does not concern the other writes to its ledger. It must not raise.

        """
        if len(self._writes) >= MAX_KEPT and (job, name) not in self._writes:
            return False
        self._writes[job, name] = write
        if self._task is None:
            self._task = asyncio.create_task(self._keep_trying())
        return True

    @contextlib.contextmanager
    def writing(self, job: LedgerJob) -> Iterator[None]:
        """Let the claims of a job wait while its outcome is written in the block."""
        self._in_progress[job] += 1
        try:
            yield
        finally:
            self._in_progress[job] -= 1
            if not self._in_progress[job]:
                del self._in_progress[job]

    def is_written(self, job: LedgerJob) -> bool:
        """Tell whether no outcome of a job waits here to be written."""
        return job not in self._in_progress and all(each != job for each, _ in self._writes)

    def are_written(self, where: Hashable) -> bool:
        """Tell whether no outcome waits here to be written to a ledger."""
        waiting = (*self._in_progress, *(job for job, _ in self._writes))
        return all(job.where != where for job in waiting)

    async def write_pending(self, job: LedgerJob) -> bool:
        """Write the outcomes of a job that wait here; False while some cannot be written."""
        while job in self._in_progress:  # noqa: ASYNC110 - no event is to be set in a loop that ends
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        await self.try_all()
        return self.is_written(job)

    async def try_all(self) -> None:
        """Try each write once, except where another one has just failed."""
        away = set()
        for (job, name), write in list(self._writes.items()):
            if job.where not in away:
                is_done = await write()
                if is_done:
                    self._writes.pop((job, name), None)
                elif is_done is False:
                    away.add(job.where)

    async def try_at_the_end(self, until: float) -> None:
        """Try each write once more, for a second at most, and log how many are left.

        Args:
            until: the loop's time at which it ends in any case, as the process is to end then.

        """
        if not self._writes:
            return
        left = max(until - asyncio.get_running_loop().time(), 0.0)
        last = asyncio.create_task(self.try_all())
        # A statement of SQLite cannot be cut, so its end is not waited for.
        await asyncio.wait([last], timeout=min(left, LAST_WRITE_SECONDS))
        last.cancel()
        if self._writes:
            _LOGGER.warning(
                "%d outcome(s) are not written, and are lost when this process ends; their rows "
                "are in the lines above",
                len(self._writes),
            )

    async def _keep_trying(self) -> None:
        try:
            while self._writes:
                await asyncio.sleep(SECONDS_BETWEEN_TRIES)
                await self.try_all()
        finally:
            self._task = None


_OF_LOOPS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, ref[KeptWrites]]] = (
    WeakKeyDictionary()
)
"""Weak on both sides: what is kept lives in a task of its loop, and ends with the loop."""


def kept_writes() -> KeptWrites:
    """Return what the running event loop keeps."""
    loop = asyncio.get_running_loop()
    found = _OF_LOOPS.get(loop)
    kept = found() if found else None
    if kept is None:
        kept = KeptWrites()
        _OF_LOOPS[loop] = ref(kept)
    return kept
