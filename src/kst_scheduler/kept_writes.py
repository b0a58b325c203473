"""Writes that could not be made yet, kept by the process and tried again until they are made.

What a run came to is known when it ends, and the ledger may be away just then. A process that lives
does not forget it: it tries again every second, before each claim and each look of its own, and
once more at the end of a drain. The first look of another replica after the outage leaves abandoned
runs alone (kst_scheduler.reconcile), so that the process that knows comes first:

    A   work ends | write fails, is kept | fails | fails | written
    B   look fails .................... look fails ............ look: A's row is left alone | look
    ledger        [............ away ............]
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, ref

from kst_scheduler.time_limit import time_limit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    Write = Callable[[], Awaitable[bool]]

SECONDS_BETWEEN_TRIES: Final = 1.0
MAX_KEPT: Final = 1_000
"""How many writes a process keeps; each is a few kilobytes at most."""

_LOGGER: Final = logging.getLogger(__name__)


class KeptWrites:
    """The writes that one event loop keeps."""

    def __init__(self) -> None:
        self._writes: dict[tuple[Hashable, Hashable], Write] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._writes)

    def keep(self, where: Hashable, name: Hashable, write: Write) -> bool:
        """Keep a write until it returns True; False when 1,000 are kept already.

        Args:
            where: where it is written; when one write there fails, the others are not tried.
            name: what is written; a later write of the same name there takes its place.
            write: returns whether there is nothing more to do. It must not raise.

        """
        if len(self._writes) >= MAX_KEPT and (where, name) not in self._writes:
            return False
        self._writes[where, name] = write
        if self._task is None:
            self._task = asyncio.create_task(self._keep_trying())
        return True

    async def try_all(self) -> None:
        """Try each write once, except where another one has just failed."""
        away = set()
        for (where, name), write in list(self._writes.items()):
            if where not in away:
                if await write():
                    self._writes.pop((where, name), None)
                else:
                    away.add(where)

    async def try_at_the_end(self, seconds: float) -> None:
        """Try each write once more within a time limit, and log how many are left."""
        with contextlib.suppress(TimeoutError):
            async with time_limit(seconds):
                await self.try_all()
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
