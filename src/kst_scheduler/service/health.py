"""Looks at the ledger once a second, so that whoever asks how it is need not wait for it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from apscheduler.schedulers.base import STATE_RUNNING

from kst_scheduler.redaction import without_passwords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kst_scheduler.ledger import Ledger
    from kst_scheduler.scheduler import KSTScheduler

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS: Final = 1.0
SECONDS_TO_ANSWER: Final = 1.0


class LedgerWatch:
    """Knows whether the ledger answered when it was last looked at."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.trouble: str | None = None
        """What is wrong, without any name or address; None: nothing."""

    async def keep_looking(self) -> None:
        """Look every second until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def look(self) -> None:
        """Ask the ledger for its latest row."""
        look = asyncio.create_task(self._ledger.rows(limit=1))
        try:
            # Not cancelled when it is late: that would cost a connection each time.
            done, _ = await asyncio.wait([look], timeout=SECONDS_TO_ANSWER)
            if not done:
                self._note("the ledger does not answer within a second")
            await look
        except Exception as error:  # noqa: BLE001 - whatever it is, the ledger did not answer
            self._note("the ledger cannot be reached", error)
        else:
            self._note(None)
        finally:
            look.cancel()

    def _note(self, trouble: str | None, error: Exception | None = None) -> None:
        if trouble != self.trouble:  # one line a change
            logger.log(
                logging.WARNING if trouble else logging.INFO,
                "%s%s",
                trouble or "the ledger answers again",
                without_passwords(f": {error}") if error else "",
            )
        self.trouble = trouble


@asynccontextmanager
async def watched(ledger: Ledger) -> AsyncIterator[LedgerWatch]:
    """Keep looking at a ledger meanwhile."""
    watch = LedgerWatch(ledger)
    task = asyncio.create_task(watch.keep_looking())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.wait([task])


def reasons_against(scheduler: KSTScheduler, watch: LedgerWatch) -> list[str]:
    """Return why a service is not well; nothing when it is."""
    stopped = [] if scheduler.state == STATE_RUNNING else ["the scheduler does not run"]
    return stopped + ([watch.trouble] if watch.trouble else [])
