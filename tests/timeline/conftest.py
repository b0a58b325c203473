"""Small tables of runs to draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.table import NAT, STATUSES, RunLog
from kst_scheduler.timezone import kst
from seen_pictures import no_figure_left, see

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["no_figure_left", "see"]


def instant(moment: datetime | None) -> int:
    """Return what RunLog takes."""
    return NAT if moment is None else microseconds(moment)


class Table(RunLog):
    """A table of runs that is written with datetimes."""

    def run(
        self,
        node: str,
        job_id: str,
        due: datetime,
        status: str = "ok",
        lasts: timedelta | None = timedelta(seconds=2),
        late: timedelta = timedelta(0),
    ) -> None:
        """Add a row; one that is ok, error, cancelled or running has started."""
        start = due + late if status in {"ok", "error", "cancelled", "running"} else None
        end = None if start is None or lasts is None or status == "running" else start + lasts
        self.add(node, job_id, instant(due), status, instant(start), instant(end))


@dataclass
class Result:
    """What a simulation hands over."""

    runs: pd.DataFrame
    start: datetime
    end: datetime
    incidents: pd.DataFrame | None = None
    grace: dict[str, timedelta | None] = field(default_factory=dict)


def incidents(*rows: tuple[str, str, datetime, datetime | None, str]) -> pd.DataFrame:
    """Return a table of incidents."""
    table = pd.DataFrame(rows, columns=["node", "kind", "start", "end", "detail"])
    for name in ("start", "end"):
        table[name] = pd.to_datetime(table[name], utc=True).dt.tz_convert("Asia/Seoul")
    return table


@pytest.fixture
def table() -> Callable[[], Table]:
    """Return an empty table of runs to fill."""
    return Table


@pytest.fixture
def struck() -> Callable[..., pd.DataFrame]:
    """Return the function that makes a table of incidents."""
    return incidents


@pytest.fixture
def bad_night() -> Result:
    """Two replicas on a UTC host: the crawl runs at noon on both, B is frozen for a while."""
    runs, day = Table(), kst(2026, 5, 10)
    lost = {5: "coalesced", 6: "coalesced", 7: "missed"}
    for node in ("A", "B"):
        for hour in range(18):
            status = lost.get(hour, "ok") if node == "B" else "ok"
            runs.run(node, "hourly-token", day + timedelta(hours=hour), status)
        runs.run(node, "daily-nps-crawl", day + timedelta(hours=12), lasts=timedelta(minutes=40))
    frozen = incidents(("B", "freeze", kst(2026, 5, 10, 4, 58), kst(2026, 5, 10, 7, 18), ""))
    grace = {"hourly-token": timedelta(seconds=300), "daily-nps-crawl": timedelta(seconds=300)}
    return Result(runs.table(), day, day + timedelta(hours=18), frozen, dict(grace))


@pytest.fixture
def every_status() -> Result:
    """Each status once on each of two nodes, every kind of incident, a grace time of an hour."""
    runs, day = Table(), kst(2026, 5, 10)
    for node, minute in (("A", 0), ("B", 20)):
        for number, status in enumerate(STATUSES):
            due = day + timedelta(hours=2 + 2 * number, minutes=minute)
            late = timedelta(minutes=25 if status == "error" else 0)
            runs.run(node, "job", due, status, timedelta(minutes=30), late)
    struck = incidents(
        ("A", "crash", kst(2026, 5, 10, 0, 5), kst(2026, 5, 10, 0, 17), ""),
        ("A", "freeze", kst(2026, 5, 10, 1), kst(2026, 5, 10, 1, 30), ""),
        ("B", "clock_jump", kst(2026, 5, 10, 0, 1), None, "180"),
    )
    return Result(runs.table(), day, day + timedelta(days=1), struck, {"job": timedelta(hours=1)})


@pytest.fixture
def crowded() -> Result:
    """One minute at five fires a second, in which two seconds were missed."""
    runs, start = Table(), kst(2026, 5, 10, 3)
    for number in range(300):
        due = start + number * timedelta(milliseconds=200)
        missed, failed = 100 <= number < 110, number == 200
        status = "missed" if missed else "error" if failed else "ok"
        runs.run("A", "five-a-second", due, status, timedelta(milliseconds=90))
    grace: dict[str, timedelta | None] = {"five-a-second": timedelta(seconds=1)}
    return Result(runs.table(), start, start + timedelta(minutes=1), None, grace)


@pytest.fixture
def month() -> Result:
    """Three nodes in May: a nightly job that one of them runs, an hourly one on each, incidents."""
    runs, day = Table(), kst(2026, 5, 1)
    for number, node in enumerate("ABC"):
        for date in range(31):
            night = day + timedelta(days=date, hours=3)
            runs.run(node, "nightly", night, "ok" if date % 3 == number else "locked_out")
            for hour in range(24):
                down = node == "B" and date in {8, 9}
                due = day + timedelta(days=date, hours=hour)
                runs.run(node, f"hourly-{node}", due, "missed" if down else "ok")
    often = [
        ("C", "freeze", day + timedelta(days=2 * n), day + timedelta(days=2 * n, hours=9), "")
        for n in range(15)
    ]
    struck = incidents(
        ("B", "crash", day + timedelta(days=8), day + timedelta(days=10), ""),
        ("A", "freeze", day + timedelta(days=3), day + timedelta(days=3, hours=2, minutes=20), ""),
        ("A", "clock_jump", day + timedelta(days=3, hours=9), None, "-75"),
        ("A", "crash", day + timedelta(days=29), None, ""),
        *often,
    )
    return Result(runs.table(), day, day + timedelta(days=31), struck)


@pytest.fixture
def many_lanes() -> Result:
    """Ten nodes with ten jobs each, hourly for a day."""
    runs, day = Table(), kst(2026, 5, 10)
    for node in range(1, 11):
        for job in range(1, 11):
            for hour in range(24):
                due = day + timedelta(hours=hour, minutes=6 * node)
                status = "missed" if (node, job, hour) == (3, 4, 5) else "ok"
                runs.run(f"worker-{node}", f"job-{job}", due, status)
    return Result(runs.table(), day, day + timedelta(days=1))
