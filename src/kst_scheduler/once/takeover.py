"""When a claim may take over, or close, a run whose lease is over.

A lease says that its holder has not renewed it, and in an outage nobody can. When the ledger is
back, the holders that live renew their leases, and write the outcomes that they keep, within a
second or a thirtieth of the lease. A claim that has waited for the ledger may be there before::

    A   work ends | write fails, is kept | fails    |         | written
    B             | claim fails          | fails    | A's lease is over: put off | claims the next
    ledger        [............. away ..............]

So such a claim leaves the run alone for a while. One that has not noticed the outage does not.

Where the ledger's clock was set forward, each lease is over by it until its holder renews it,
after a third of the lease at the latest. The same holds where it was behind, and is right again. A
claim that meets a lease that is over reads the clock as a look does
(kst_scheduler.ledger.clock_watch), and leaves the run alone while the clock is not trusted, or was
set less than a lease ago::

    A             renews | ........................... renews
    B   reads the clock             | reads it: set since, so A's run counts as in progress
    clock                     set

What remains: a process that has not read the clock before it was set cannot notice that. It reads
it at each look of its Reconciler, so at its start and every minute; a worker, for each task whose
job has a catch-up window; else only at a claim that meets a lease that is over. And a step of less
than 2 s and a tenth of the time since the last reading, 8 s in a minute, is not noticed: it is
shorter than what is left of a lease of 12 s and more. A run that is closed in error is stopped at
its next renewal, and its attempt number keeps it from writing its outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger.clock_watch import clock_watch, trusted_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from kst_scheduler.ledger import Ledger

MIN_SECONDS_TO_WRITE: Final = 3.0
"""For how long a run is left alone after an outage: three tries of a kept outcome."""
PART_TO_RENEW: Final = 0.1
"""The same as a part of the lease: a holder tries to renew it after a thirtieth of it."""


class Takeover:
    """Judges, for one claim, the leases that are over."""

    def __init__(self, ledger: Ledger, lease: timedelta, is_written: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._lease = lease
        self._seconds = max(MIN_SECONDS_TO_WRITE, PART_TO_RENEW * lease.total_seconds())
        self._is_written = is_written
        self._was_away = False
        self._back_at: float | None = None

    @contextlib.contextmanager
    def noting_outages(self) -> Iterator[None]:
        """Note that the ledger was away for a try of the claim."""
        try:
            yield
        except _PutOffError:
            raise
        except LedgerUnavailableError:
            self._was_away, self._back_at = True, None
            raise

    async def may_take(self) -> bool:
        """Tell whether a run whose lease is over may be taken over or closed.

        Raises:
            LedgerUnavailableError: not now; the claim is to be tried again.

        """
        if not self._is_written():
            raise _PutOffError("an outcome of the job is being written")
        if self._was_away:
            now = asyncio.get_running_loop().time()
            self._back_at = now if self._back_at is None else self._back_at
            if now < self._back_at + self._seconds:
                raise _PutOffError(
                    f"the ledger was away, and the replica whose lease is over has "
                    f"{self._seconds:g} s to renew it or to write its outcome"
                )
        is_trusted = await trusted_time(self._ledger) is not None
        return is_trusted and clock_watch(self._ledger).is_steady_for(self._lease)


class _PutOffError(LedgerUnavailableError):
    """The ledger answers, and the claim is tried again all the same."""
