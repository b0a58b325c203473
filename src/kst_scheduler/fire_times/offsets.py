"""When a zone's offset from UTC changes, found without asking for every day.

zoneinfo does not hand out its table of changes, so the offset is probed every five days and the
change between two probes that differ is found by bisection, to the second. Since 1970 no zone has
changed twice within six days, nor will one by its present rules (a test goes through all of them).
"""

from __future__ import annotations

from datetime import UTC, datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from kst_scheduler.fire_times.instants import DAY, MICROSECOND, SECOND, moment_at

if TYPE_CHECKING:
    from datetime import tzinfo

    from kst_scheduler.fire_times.arrays import Instants

PROBE_SECONDS: Final = 5 * DAY // SECOND
_LAST_YEAR: Final = 9998  # the year after it must still be one that a datetime can name


class OffsetChange(NamedTuple):
    """One change of offset: the instant, and the offsets before and after it, in microseconds."""

    at: int
    before: int
    after: int

    @property
    def shift(self) -> int:
        """How far clocks are put forward; negative when they are put back."""
        return self.after - self.before


def offset_at(zone: tzinfo, instant: int) -> int:
    """Return the offset from UTC that holds at an instant, in microseconds."""
    offset = moment_at(instant).astimezone(zone).utcoffset()
    return offset // MICROSECOND if offset is not None else 0


def offset_changes(zone: tzinfo, start: int, end: int) -> list[OffsetChange]:
    """List the changes with start < at < end, in order; all in microseconds since 1970."""
    if isinstance(zone, timezone):
        return []
    years = range(moment_at(start).year, min(moment_at(end).year, _LAST_YEAR) + 1)
    return [
        change for year in years for change in _changes_in(zone, year) if start < change.at < end
    ]


def local_times(instants: Instants, zone: tzinfo) -> Instants:
    """Return what a clock in the zone shows, as microseconds since its 1970-01-01 00:00."""
    if not instants.size:
        return instants
    first, last = int(instants.min()), int(instants.max())
    changes = offset_changes(zone, first, last + 1)
    offsets = np.array([offset_at(zone, first), *(change.after for change in changes)])
    passed = np.searchsorted([change.at for change in changes], instants, "right")
    local: Instants = instants + offsets[passed]
    return local


@lru_cache(maxsize=4096)
def _changes_in(zone: tzinfo, year: int) -> tuple[OffsetChange, ...]:
    """List the changes after the first second of a UTC year, up to that of the next one."""
    first, last = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (year, year + 1))
    probes = [*range(first, last, PROBE_SECONDS), last]
    offsets = [_offset(zone, probe) for probe in probes]
    return tuple(
        _bisect(zone, probes[i], probes[i + 1])
        for i in range(len(probes) - 1)
        if offsets[i] != offsets[i + 1]
    )


def _bisect(zone: tzinfo, low: int, high: int) -> OffsetChange:
    before, after = _offset(zone, low), _offset(zone, high)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return OffsetChange(high * SECOND, before, after)


def _offset(zone: tzinfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    return offset // MICROSECOND if offset is not None else 0
