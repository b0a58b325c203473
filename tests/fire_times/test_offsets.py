from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, _zoneinfo, available_timezones  # type: ignore[attr-defined]

import numpy as np
import pytest

from kst_scheduler.fire_times.instants import HOUR, SECOND, microseconds, moment_at
from kst_scheduler.fire_times.offsets import (
    PROBE_SECONDS,
    OffsetChange,
    local_times,
    offset_at,
    offset_changes,
)
from kst_scheduler.timezone import KST

START, END = (microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (1970, 2037))


def _table_of(name: str) -> list[OffsetChange]:
    # The table that zoneinfo does not hand out, from its pure Python twin (CPython 3.11 to 3.13).
    zone: Any = _zoneinfo.ZoneInfo(name)
    before = [zone._tti_before, *zone._ttinfos]
    offsets = [info.utcoff // timedelta(microseconds=1) for info in before]
    changes = map(OffsetChange, (at * SECOND for at in zone._trans_utc), offsets, offsets[1:])
    return [change for change in changes if change.shift and START < change.at < END]


@pytest.mark.parametrize(
    "name",
    [
        "Asia/Seoul",
        "America/New_York",
        "Africa/Casablanca",
        "Pacific/Apia",
        "America/Noronha",
        "Africa/Monrovia",
    ],
)
def test_changes_are_those_of_the_zone_file(name: str) -> None:
    """Probing and bisection find each change of the zone's own table, to the second."""
    assert offset_changes(ZoneInfo(name), START, END) == _table_of(name)


def test_no_zone_changes_twice_between_two_probes() -> None:
    """In every zone that this machine knows, changes lie further apart than the probes."""
    apart = [
        later.at - earlier.at
        for name in sorted(available_timezones())
        for earlier, later in pairwise(_table_of(name))
    ]
    assert len(apart) > 1000
    assert min(apart) > PROBE_SECONDS * SECOND


def test_changes_beyond_the_table_follow_the_rule() -> None:
    """Years for which the zone file has only a rule are found as well."""
    start, end = (microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (2090, 2091))
    spring, autumn = offset_changes(ZoneInfo("Europe/London"), start, end)
    assert moment_at(spring.at) == datetime(2090, 3, 26, 1, tzinfo=UTC)
    assert (spring.shift, autumn.shift) == (HOUR, -HOUR)


def test_only_changes_inside_the_span_are_listed() -> None:
    """A change at the very start or end is not between them."""
    change = _table_of("America/New_York")[0]
    zone = ZoneInfo("America/New_York")
    assert offset_changes(zone, change.at - 1, change.at + 1) == [change]
    assert offset_changes(zone, change.at, change.at + 1) == []
    assert offset_changes(zone, change.at - 1, change.at) == []


def test_a_fixed_offset_never_changes() -> None:
    """A datetime.timezone has one offset, and it is not probed."""
    assert offset_changes(timezone(timedelta(hours=9)), START, END) == []


def test_offsets_and_local_times_agree_with_the_clock() -> None:
    """What a clock shows is the instant and its offset, before and after a change."""
    spring = datetime(2026, 3, 8, 7, tzinfo=UTC)
    moments = [spring + timedelta(minutes=minutes) for minutes in (-1, 0, 1)]
    instants = np.array([microseconds(moment) for moment in moments])
    zone = ZoneInfo("America/New_York")
    shown = local_times(instants, zone).view("M8[us]").tolist()
    assert shown == [moment.astimezone(zone).replace(tzinfo=None) for moment in moments]
    assert local_times(instants[:0], zone).size == 0
    assert offset_at(KST, 0) == 9 * HOUR
