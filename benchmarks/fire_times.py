"""All fire times of a span: fire_times against APScheduler's own loop, croniter and cronsim.

Purpose: prints how long each takes for the same crontab lines in Seoul and in New York, and how
many times longer than ours; pandas' date_range stands beside them where it can say the same.
Limits: ratios within one run; absolute times depend on the machine. The best of several calls
counts, except for "first", our first call, which knows nothing of the zone yet. In New York the
library loses fires of "monthly at midnight" (its fault, which ours keeps); the others do not.
Run: ``uv run --group benchmarks python benchmarks/fire_times.py`` (half a minute, nearly all of it
in the other libraries). It ends with exit code 1 where a target is missed.
"""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime, timedelta
from itertools import takewhile
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from croniter import croniter
from cronsim import CronSim

from kst_scheduler.fire_times import fire_times, offsets
from kst_scheduler.triggers.factories import crontab

if TYPE_CHECKING:
    from collections.abc import Callable

ZONES: Final = (ZoneInfo("Asia/Seoul"), ZoneInfo("America/New_York"))
PEERS: Final = ("library", "croniter", "cronsim")
TARGET: Final = 90
SECONDS_A_CASE: Final = 0.3
JUST_BEFORE: Final = timedelta(seconds=1)


class Case(NamedTuple):
    """A crontab line over some years, in a zone; ``frequency`` is its name for pandas."""

    name: str
    line: str
    first: tuple[int, int, int]
    last: tuple[int, int, int]
    frequency: str | None = None


CASES: Final = (
    Case("daily, a year", "0 3 * * *", (2026, 1, 1), (2027, 1, 1)),
    Case("weekdays every 10 minutes, a year", "*/10 * * * 1-5", (2026, 1, 1), (2027, 1, 1)),
    Case("monthly, ten years", "0 3 1 * *", (2026, 1, 1), (2036, 1, 1)),
    Case("monthly at midnight, ten years", "0 0 1 * *", (2026, 1, 1), (2036, 1, 1)),
    Case("every minute, a month", "* * * * *", (2026, 3, 1), (2026, 4, 1), "1min"),
    Case("every 5 minutes, a year", "*/5 * * * *", (2026, 1, 1), (2027, 1, 1), "5min"),
)


def library(trigger: Any, start: datetime, end: datetime) -> list[datetime]:
    """Ask APScheduler for one fire time after the other."""
    fires, fire = [], trigger.get_next_fire_time(None, start)
    while fire and fire < end:
        fires.append(fire)
        fire = trigger.get_next_fire_time(fire, fire)
    return fires


def measure(case: Case, zone: ZoneInfo) -> dict[str, float]:
    """Return the seconds that each contestant takes, and the number of fires."""
    trigger, line = crontab(case.line, zone), case.line
    start, end = datetime(*case.first, tzinfo=zone), datetime(*case.last, tzinfo=zone)
    before = start - JUST_BEFORE  # croniter and cronsim leave the start out

    def before_end(fire: datetime) -> bool:
        return fire < end

    offsets._changes_in.cache_clear()
    began = perf_counter()
    fires = len(fire_times(trigger, start, end))
    measured = {
        "fires": float(fires),
        "first": perf_counter() - began,
        "ours": best(lambda: fire_times(trigger, start, end)),
        "library": best(lambda: library(trigger, start, end)),
        "croniter": best(lambda: [*takewhile(before_end, croniter(line, before, datetime))]),
        "cronsim": best(lambda: [*takewhile(before_end, CronSim(line, before))]),
    }
    if case.frequency:
        measured["date_range"] = best(
            lambda: pd.date_range(start, end, freq=case.frequency, inclusive="left", unit="us")
        )
    return measured


def best(call: Callable[[], object]) -> float:
    """Return the least time of one call, out of those that fit into ``SECONDS_A_CASE``."""
    times: list[float] = []
    while sum(times) < SECONDS_A_CASE:
        began = perf_counter()
        call()
        times.append(perf_counter() - began)
    return min(times)


def show(name: str, measured: dict[str, float]) -> None:
    """Print one line: our microseconds, and how many times longer the others take."""
    ours = measured["ours"]
    others = "".join(
        f"{measured[peer] / ours:11.2f}" if peer in measured else " " * 11
        for peer in (*PEERS, "date_range")
    )
    print(
        f"{name:34}{measured['fires']:9,.0f}{ours * 1e6:10,.0f}{measured['first'] * 1e6:10,.0f}"
        f"{others}",
        flush=True,
    )


def main() -> int:
    """Print the figures and return the exit code."""
    total: Counter[str] = Counter()
    slower = []
    for zone in ZONES:
        heads = "".join(f"{name:>11}" for name in (*PEERS, "date_range"))
        print(f"\n{zone.key:34}{'fires':>9}{'ours, us':>10}{'first, us':>10}{heads}")
        for case in CASES:
            measured = measure(case, zone)
            show(case.name, measured)
            total.update(measured)
            best_peer = min(measured[peer] for peer in PEERS)
            slower += [f"{case.name}, {zone.key}"] if best_peer < measured["ours"] else []
    ratios = {peer: total[peer] / total["ours"] for peer in PEERS}
    print("\nover all: " + ", ".join(f"{peer} {ratio:,.0f}x" for peer, ratio in ratios.items()))
    print(f"target: {TARGET}x over all; slower than one of them: {', '.join(slower) or 'never'}")
    return int(min(ratios.values()) < TARGET or bool(slower))


if __name__ == "__main__":
    sys.exit(main())
