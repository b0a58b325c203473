"""What goes wrong in a month, drawn from a seed: much of what goes wrong in a year.

Most of it happens when it hurts: around 03:00, when the crawl is due, and around noon, when people
deploy. Six nights have a trouble of their own, the others have small ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

import pandas as pd

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.simulation import ClockJump, Crash, Freeze, Incident, Node
from kst_scheduler.simulation.incidents import incidents_table
from kst_scheduler.timezone import kst, require_aware

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_DAYS: Final = 7
"""So many are needed for the six nights that have a trouble of their own."""
MAX_DAYS: Final = 366

_OFFSETS: Final = {"A": 1.5, "B": -2.0, "C": 0.4}
_SPENT: Final = (10_000, 6_000)
"""Calls that others spend of a day's quota: all of it, and so much that one crawl is left."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class BadMonth:
    """A span of days, the replicas, and what befalls them and what they lean on."""

    start: datetime
    end: datetime
    nodes: tuple[Node, ...]
    incidents: tuple[Incident, ...]
    redis_away: tuple[tuple[datetime, datetime], ...]
    spent: dict[date, int]
    """Calls of the day's quota that others have used up before the crawl, by Korean day."""

    def table(self) -> pd.DataFrame:
        """Return one row a trouble: what, node ("" for Redis and the quota), start, end, detail."""
        struck = incidents_table(self.incidents).rename(columns={"kind": "what"})
        others: list[tuple[object, ...]] = [
            ("redis away", "", start, end, "") for start, end in self.redis_away
        ]
        others += [
            ("quota spent", "", kst(day.year, day.month, day.day), pd.NaT, f"{calls:,} calls")
            for day, calls in self.spent.items()
        ]
        columns = ["what", "node", "start", "end", "detail"]
        rest = pd.DataFrame(others, columns=columns)
        rest = rest.astype({name: struck[name].dtype for name in columns})
        both = pd.concat([struck[columns], rest])
        return both.sort_values(["start", "node"], kind="stable", ignore_index=True)

    def worst_night(self) -> date:
        """Return the day whose first twelve hours have the most kinds of incidents.

        Of several, the one with the most incidents, and of these the first.
        """
        struck = self.table()
        struck = struck[(struck["node"] != "") & (struck["start"].dt.hour < 12)]  # noqa: PLR2004
        nights = struck.groupby(struck["start"].dt.date)["what"].agg(["nunique", "size"])
        worst: date = (
            nights.sort_index(ascending=False)
            .sort_values(["nunique", "size"], kind="stable")
            .index[-1]
        )
        return worst


def bad_month(seed: int, start: datetime | None = None, days: int = 31) -> BadMonth:
    """Return the troubles of a month; the same seed gives the same ones, on any machine.

    Six nights, drawn from all but the first, have one each: all replicas lose power until after
    noon; all are frozen for two hours by their storage; Redis is away until noon; others have
    spent the day's quota of data.go.kr; others have spent 6,000 calls of it; and on one night
    everything happens at once. On the other days replicas crash and come back, freeze, and have
    their clocks set wrong and right again. All clocks are a little off all the time.

    Args:
        seed: any integer.
        start: the first midnight, aware; 1 May 2026 in Korea by default.
        days: how many, at least 7.

    Raises:
        InvalidArgumentError: ``days`` is not from 7 to 366.
        NaiveDatetimeError: ``start`` has no zone.

    """
    start = kst(2026, 5, 1) if start is None else require_aware(start, "start")
    if not MIN_DAYS <= days <= MAX_DAYS:
        raise InvalidArgumentError(
            f"days={days} is not from {MIN_DAYS} to {MAX_DAYS}: six nights have a trouble of "
            "their own; write days=7 or more"
        )
    random = Random(seed)  # noqa: S311 - no secret
    special = random.sample(range(1, days), 6)
    power, storage, redis, quota, half_quota, storm = (start + n * _DAY for n in special)
    incidents = [*_power_failure(random, power), *_storage_stall(random, storage)]
    incidents += _storm(random, storm)
    away = (_at(random, redis, 2.6, 2.8), _at(random, redis, 12.4, 12.8))
    for number in range(days):
        if number not in special:
            incidents += _ordinary(random, start + number * _DAY)
    incidents = [each for each in incidents if each.at < start + days * _DAY]
    return BadMonth(
        start=start,
        end=start + days * _DAY,
        nodes=tuple(Node(name, offset) for name, offset in _OFFSETS.items()),
        incidents=tuple(sorted(incidents, key=lambda each: (each.at, each.node))),
        redis_away=(away,),
        spent=dict(sorted(zip((quota.date(), half_quota.date()), _SPENT, strict=True))),
    )


def _power_failure(random: Random, day: datetime) -> Iterator[Incident]:
    """All replicas die soon after one another, and are back in the early afternoon."""
    for name in _OFFSETS:
        down = _at(random, day, 1.9, 2.0)
        yield Crash(name, down, _at(random, day, 12.6, 12.9) - down)


def _storage_stall(random: Random, day: datetime) -> Iterator[Incident]:
    """All replicas stand still over 03:00, for about two hours."""
    goes_on = _at(random, day, 4.8, 5.3)
    for name in _OFFSETS:
        stalled = _at(random, day, 2.8, 2.9)
        yield Freeze(name, stalled, goes_on - stalled)


def _storm(random: Random, day: datetime) -> Iterator[Incident]:
    """Everything at once: one is frozen, one set wrong, and the one that crawls dies of it."""
    quickest = max(_OFFSETS, key=lambda name: _OFFSETS[name])
    frozen, wrong = random.sample([name for name in _OFFSETS if name != quickest], 2)
    yield ClockJump(wrong, _at(random, day, 2.2, 2.4), -random.randint(60, 150))
    yield Freeze(frozen, _at(random, day, 2.8, 2.9), timedelta(minutes=random.randint(50, 70)))
    yield Crash(quickest, _at(random, day, 3.2, 3.4), timedelta(minutes=random.randint(5, 15)))
    yield ClockJump(wrong, _at(random, day, 6.0, 7.0), random.randint(60, 150))
    yield Crash(wrong, _at(random, day, 12.1, 12.3), timedelta(minutes=random.randint(1, 4)))


def _ordinary(random: Random, day: datetime) -> Iterator[Incident]:
    """At most one trouble for each replica, so that they do not overlap."""
    for name in _OFFSETS:
        kind, at = random.random(), _when(random, day)
        if kind < 0.12:  # noqa: PLR2004
            yield Crash(name, at, timedelta(seconds=random.randint(20, 2_400)))
        elif kind < 0.24:  # noqa: PLR2004
            yield Freeze(name, at, timedelta(seconds=random.randint(60, 5_400)))
        elif kind < 0.34:  # noqa: PLR2004
            wrong = random.choice([-1, 1]) * random.randint(20, 240)
            yield ClockJump(name, at, wrong)
            yield ClockJump(name, at + timedelta(hours=random.randint(1, 5)), -wrong)


def _when(random: Random, day: datetime) -> datetime:
    """Return a time of a trouble: half of them in the crawl, a quarter around noon."""
    place = random.random()
    if place < 0.5:  # noqa: PLR2004
        return _at(random, day, 2.8, 3.6)
    return _at(random, day, 11.8, 12.6) if place < 0.75 else _at(random, day, 0.2, 21.0)  # noqa: PLR2004


def _at(random: Random, day: datetime, first: float, last: float) -> datetime:
    """Return a whole second between two hours of a day."""
    return day + timedelta(seconds=random.randint(round(first * 3600), round(last * 3600)))
