"""When a claim may take over, or close, a run whose lease is over.

A lease says that its holder has not renewed it, and in an outage nobody can. When the ledger is
back, the holders that live renew their leases, and write the outcomes that they keep, within a
second or a thirtieth of the lease. A claim that has waited for the ledger may be there before::

    A   work ends | write fails, is kept | fails      | written
    B             | claim fails | fails  | A's lease is over: put off | claims the next occurrence
    ledger        [............ away ............]

So such a claim leaves the run alone for a while. One that has not noticed the outage does not.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

MIN_SECONDS_TO_WRITE: Final = 3.0
"""For how long a run is left alone after an outage: three tries of a kept outcome."""
PART_TO_RENEW: Final = 0.1
"""The same as a part of the lease: a holder tries to renew it after a thirtieth of it."""


class Takeover:
    """Judges, for one claim, the leases that are over."""

    def __init__(self, lease: timedelta, is_written: Callable[[], bool]) -> None:
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
        return True


class _PutOffError(LedgerUnavailableError):
    """The ledger answers, and the claim is tried again all the same."""
