"""Work under a lease: renewed while the work goes on, and stopped when the lease is lost.

The lease is an ``asyncio.timeout``. Each renewal moves its end; when that comes without a renewal,
the work is stopped, before anyone else can hold what it held.

A holder that gets no answer cannot know whether all are cut off from the lessor or it alone is: so
the lease rules, and outages of up to half a lease do no harm. Where the lessor itself answers that
it is down (an error with ``is_down``), nobody can have taken the lease, however long that lasts:
the work goes on from answer to answer, and the first renewal after it decides. This relies on one
lessor at one address. Where a standby has taken over elsewhere and this holder still reaches the
old server alone, or where a proxy beside it is down, another may hold the lease, and two work at
once until the new server answers here.

Nothing stops code between two
``await``s, or a process that is frozen as a whole: it is stopped when it thaws. What was ready to
go on when something blocked its event loop goes on, up to its next ``await``. So a lease is no
fence; an attempt number that the final write compares is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from kst_scheduler.errors import LeaseLostError
from kst_scheduler.redaction import without_passwords
from kst_scheduler.time_limit import time_limit
from kst_scheduler.user_values import is_a, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import timedelta

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def renewed(
    renew: Callable[[], Awaitable[bool]],
    ttl: timedelta,
    what: str,
    *,
    since: float | None = None,
) -> AsyncIterator[None]:
    """Renew a lease while the block runs, and stop the block when the lease is lost.

    It is renewed a third of ``ttl`` after the last renewal was sent. A renewal that raises, or has
    no answer after a sixth of ``ttl``, is tried again until the lease is over; one whose error has
    ``is_down`` extends it until the next try has failed. All times are the
    event loop's monotonic clock; a renewed lease counts from before the request was sent::

        here      sent at 20 s ............... answer at 29 s: held until 20 + 60 s
        ledger          renewed at 24 s: held until 84 s there
        another                                                       may take over after 84 s

    So the work stops here before another one can begin, however slow the answer was.

    Args:
        renew: extends the lease by ``ttl``; False when it is no longer held.
        ttl: how long the lease holds without a renewal.
        what: what is leased, for messages: "lock 'lock:crawl'".
        since: the loop's ``time()`` from before the lease was asked for; None: now.

    Raises:
        LeaseLostError: the lease was lost or ran out; an error of the block itself wins over it.

    """
    seconds = ttl.total_seconds()
    loop = asyncio.get_running_loop()
    since = loop.time() if since is None else since
    if loop.time() >= since + seconds:
        raise LeaseLostError(
            f"the lease of {what} was over before the work began: it took longer than {seconds:g} s"
        )
    lease = asyncio.timeout_at(since + seconds)
    renewals = _Renewals(renew, seconds, what, lease)
    task = asyncio.create_task(renewals.keep(since))
    try:
        async with lease:
            yield
    except TimeoutError:
        if not lease.expired():
            raise  # the block's own
    finally:
        renewals.stop()
        task.cancel()
        if loop.is_running():  # not when it is torn down with its loop
            # Ended before what it renews is given back, but never waited for in vain.
            await asyncio.wait([task], timeout=min(seconds / 6, 1))
    if lease.expired():
        raise LeaseLostError(renewals.why()) from None


class _Renewals:
    """What keeps one lease alive, and knows why it could not."""

    def __init__(
        self,
        renew: Callable[[], Awaitable[bool]],
        seconds: float,
        what: str,
        lease: asyncio.Timeout,
    ) -> None:
        self._renew = renew
        self._seconds = seconds
        self._what = what
        self._lease = lease
        self._error = ""
        self._lost = False
        self._stopped = False
        self._is_down = False

    async def keep(self, sent: float) -> None:
        """Renew until the lease is lost; ``sent`` is when it was asked for."""
        loop = asyncio.get_running_loop()
        next_at = sent + self._seconds / 3
        while not self._is_over():
            await asyncio.sleep(next_at - loop.time())
            if self._is_over():
                return
            sent = loop.time()
            next_at = sent + self._seconds / 3
            held = await self._try()
            if held is None:
                next_at = loop.time() + self._seconds / 30
                if self._is_down and not self._is_over():
                    self._extend_lease(next_at)
            elif not self._is_over():
                self._lost = not held
                self._lease.reschedule(sent + self._seconds if held else sent)

    def _extend_lease(self, next_at: float) -> None:
        """Let the lease hold until the next try has had its time."""
        until = next_at + self._seconds / 5
        if until > (self._lease.when() or 0):
            self._lease.reschedule(until)

    def stop(self) -> None:
        """Renew no more, even if the cancellation is lost, as asyncio.wait_for does on 3.11."""
        self._stopped = True

    def _is_over(self) -> bool:
        return self._stopped or self._lease.expired()

    async def _try(self) -> bool | None:
        """Return whether the lease is held; None when that could not be found out."""
        try:
            async with time_limit(self._seconds / 6):
                held = await self._renew()
        except Exception as error:  # noqa: BLE001 - whatever it is, there is time to try again
            self._failed(error)
            return None
        self._error = ""
        return held

    def _failed(self, error: Exception) -> None:
        self._is_down = getattr(error, "is_down", False) is True
        if not self._error:  # one line an outage
            logger.warning("%s could not be renewed: %s", self._what, reason_of(error))
        self._error = reason_of(error)

    def why(self) -> str:
        """Return why the lease is over."""
        if self._lost:
            return f"the lease of {self._what} was lost: another has it, or it is gone"
        reason = f"; the last renewal failed: {self._error}" if self._error else ""
        return f"the lease of {self._what} ran out: not renewed for {self._seconds:g} s{reason}"


def reason_of(error: Exception) -> str:
    """Return what an error says, for one line of a log, without passwords."""
    text = text_of(error)
    if is_a(error, TimeoutError) and not text:
        return "no answer in time"
    return without_passwords(f"{type(error).__name__}: {text}")
