"""Notice that the ledger's clock was set: it is compared with the monotonic clock of this process.

The ledger's clock may be this host's own (SQLite, an embedded PostgreSQL). What is judged by a
wrong clock is judged wrongly: nights that are yet to come look missed, and new rows look old. Which
of two times is the right one cannot be known at once. So a clock that was set is trusted when it
has stood for a while, or when it is back where it was.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from datetime import datetime

    from kst_scheduler.ledger.contract import Ledger, LedgerRow

MAX_STEP: Final = 2.0
"""Seconds that a clock may gain or lose between two readings, and was not set."""

MAX_RATE: Final = 0.1
"""By how much a clock may go faster or slower; chrony slews at 0.083 at most (maxslewrate)."""

TRUSTED_AFTER: Final = timedelta(minutes=15)
"""How long a clock that was set has to stand before it is trusted."""

MAX_EARLY: Final = timedelta(minutes=5)
"""How long before its time, by the ledger's clock, an occurrence may be run: the clocks of healthy
hosts differ by less, and a replica whose clock is a little ahead still does its work."""

_LOGGER: Final = logging.getLogger(__name__)


class Reading(NamedTuple):
    """What a clock showed, between two moments of the monotonic clock."""

    shown: datetime
    sent: float
    """Seconds of the monotonic clock before the clock was read."""
    received: float
    """Seconds of the monotonic clock after it was read."""

    def step_since(self, earlier: Reading) -> float:
        """Return how many seconds the clock was set forward since a reading; 0: it was not set."""
        passed = (self.shown - earlier.shown).total_seconds()
        at_least, at_most = self.sent - earlier.received, self.received - earlier.sent
        allowed = MAX_STEP + MAX_RATE * at_most
        too_far, too_little = passed - at_most, passed - at_least
        return too_far if too_far > allowed else too_little if too_little < -allowed else 0.0


class ClockWatch:
    """Compares each reading of a clock with those before it."""

    def __init__(self) -> None:
        self.was_set = False
        """Whether the clock was set since the first reading."""
        self.steady_for = timedelta(0)
        """For how long it was not set, or since the first reading, until the last one trusted."""
        self.steady_since: datetime | None = None
        """What it showed when that began; None: it was not read yet."""
        self._steady_since = 0.0
        self._trusted: Reading | None = None
        self._untrusted: list[Reading] = []
        """The first and the last reading of a clock that was set, and is not trusted yet."""

    def add_reading(self, reading: Reading) -> bool:
        """Remember a reading, and return whether it may be acted on."""
        if self._trusted is None:
            self._begin_steady(reading)
        elif step := reading.step_since(self._trusted):
            if not self._add_untrusted(reading, step):
                return False
            self._begin_steady(self._untrusted[0])
        elif self._untrusted:  # it is back where it was
            self._begin_steady(reading)
        self._trusted, self._untrusted = reading, []
        self.steady_for = timedelta(seconds=reading.received - self._steady_since)
        return True

    def has_shown(self, moment: datetime, at: float) -> bool:
        """Tell whether the clock, as it was trusted last, has come to a moment by now.

        ``at`` is the time by the monotonic clock.
        """
        last = self._trusted
        return last is not None and last.shown + timedelta(seconds=at - last.received) >= moment

    def has_long_shown(self, moment: datetime, at: float) -> bool:
        """Tell the same of a clock that had stood for 15 minutes when it was trusted last."""
        return self.steady_for >= TRUSTED_AFTER and self.has_shown(moment, at)

    def is_steady_for(self, span: timedelta) -> bool:
        """Tell whether the clock was not set for so long, or never since the first reading."""
        return not self.was_set or self.steady_for >= span

    def _begin_steady(self, reading: Reading) -> None:
        self._steady_since, self.steady_since = reading.sent, reading.shown

    def _add_untrusted(self, reading: Reading, step: float) -> bool:
        """Remember a reading of a clock that was set; return whether it has stood long enough."""
        self.was_set = True
        if not self._untrusted or reading.step_since(self._untrusted[-1]):
            self._untrusted = [reading, reading]
            _LOGGER.warning(
                "the ledger's clock was set by %+.0f s; nothing is caught up or written as missed "
                "until it has stood for %s, or is back",
                *(step, TRUSTED_AFTER),
            )
        self._untrusted[-1] = reading
        return reading.received - self._untrusted[0].sent >= TRUSTED_AFTER.total_seconds()


_OF_LOOPS: Final[
    WeakKeyDictionary[asyncio.AbstractEventLoop, WeakKeyDictionary[Ledger, ClockWatch]]
] = WeakKeyDictionary()


def clock_watch(ledger: Ledger) -> ClockWatch:
    """Return what the running event loop, whose clock it is compared with, knows of a ledger's."""
    loop = asyncio.get_running_loop()
    if (watches := _OF_LOOPS.get(loop)) is None:
        watches = _OF_LOOPS[loop] = WeakKeyDictionary()
    if (watch := watches.get(ledger)) is None:
        watch = watches[ledger] = ClockWatch()
    return watch


async def has_come(ledger: Ledger, moment: datetime) -> bool:
    """Tell whether a moment has come by the ledger's clock, or comes within five minutes.

    The clock is read only where the last reading does not tell: most claims cost no statement more.

    Raises:
        LedgerUnavailableError: the ledger is away.

    """
    loop = asyncio.get_running_loop()
    watch, sent = clock_watch(ledger), loop.time()
    if watch.has_shown(moment - MAX_EARLY, sent):
        return True
    now = await ledger.now()
    watch.add_reading(Reading(now, sent, loop.time()))
    return now >= moment - MAX_EARLY


async def was_in_time(ledger: Ledger, row: LedgerRow) -> bool:
    """Tell whether a run was called missed in its time, though the clock is behind that now.

    Either the clock was ahead then, or it is behind now; a process that has known the clock for
    long before it was set takes it for behind::

        clock   12:00: 10:15 is missed | set back to 11:18: not trusted | right again
        claim                              10:15: the row stands

    A claim in the first 15 minutes after its time by the clock of now is in time all the same: a
    clock that was ahead for long, and is right now, must cost no run. Later ones are left to a
    look, which knows by then whether the clock is right.

    Raises:
        LedgerUnavailableError: the ledger is away.

    """
    at = asyncio.get_running_loop().time()
    if row.written_at is None or row.written_at < row.scheduled_at:
        return False
    if not clock_watch(ledger).has_long_shown(row.written_at, at):
        return False
    return await ledger.now() - row.scheduled_at > TRUSTED_AFTER


async def trusted_time(ledger: Ledger) -> datetime | None:
    """Return the time by the ledger's clock; None: it was set, and is not trusted yet.

    Raises:
        LedgerUnavailableError: the ledger is away.

    """
    loop = asyncio.get_running_loop()
    sent = loop.time()
    now = await ledger.now()
    return now if clock_watch(ledger).add_reading(Reading(now, sent, loop.time())) else None
