"""Ask again while the ledger is away: a database that restarts is back within seconds."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.redaction import without_passwords
from kst_scheduler.time_limit import time_limit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

FIRST_PAUSE: Final = 0.1
MAX_PAUSE: Final = 5.0
"""Seconds between two tries; each pause is twice the one before, up to the longest."""

_LOGGER: Final = logging.getLogger(__name__)

R = TypeVar("R")


async def retry_while_unavailable(
    ask: Callable[[], Awaitable[R]], patience: timedelta, what: str
) -> R:
    """Return the answer of ``ask``, which is asked again while the ledger is away.

    Args:
        ask: asks the ledger; asking twice must do no more than asking once.
        patience: for how long; a try that hangs is given up then, too.
        what: what is asked for, in the log: "the claim of crawl@2026-05-09T18:00:00Z".

    Raises:
        LedgerUnavailableError: the ledger was away to the end.

    """
    seconds, failure = patience.total_seconds(), None
    pause = FIRST_PAUSE
    try:
        async with time_limit(seconds) as limit:
            while True:
                try:
                    return await ask()
                except LedgerUnavailableError as error:
                    if failure is None:  # one line an outage
                        reason = without_passwords(error)
                        _LOGGER.warning("%s is tried again for %g s: %s", what, seconds, reason)
                    failure = error
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
    except TimeoutError:
        if not limit.expired():
            raise  # not this limit, but one of the ledger's own
        reason = without_passwords(failure or "no answer")
        raise LedgerUnavailableError(
            f"{what} was given up after {seconds:g} s: {reason}"
        ) from failure
