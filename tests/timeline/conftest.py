"""Small tables of runs to draw, and what is asked of a picture again and again."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.dates import date2num
from matplotlib.text import Text

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.table import NAT, STATUSES, RunLog
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.axes import Axes


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


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    """Begin without figures, and close what a test has opened."""
    plt.close("all")
    yield
    plt.close("all")


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


class Eyes:
    """What a test sees of a picture."""

    @staticmethod
    def days(*moments: datetime) -> list[float]:
        """Return moments as matplotlib counts them."""
        return [float(date2num(moment)) for moment in moments]  # type: ignore[no-untyped-call]

    @staticmethod
    def title(ax: Axes) -> str:
        """Return the title on one line."""
        return ax.get_title(loc="left").replace("\n", " ")

    @staticmethod
    def legend(ax: Axes) -> list[str]:
        """Return the words of the legend."""
        found = ax.get_legend()
        return [text.get_text() for text in found.get_texts()] if found else []

    @staticmethod
    def texts(ax: Axes) -> list[str]:
        """Return the words within and around the frame, without ticks and legend."""
        return [text.get_text() for text in ax.texts]

    @staticmethod
    def lanes(ax: Axes) -> dict[str, float]:
        """Return the height of each labelled lane."""
        labels = [text.get_text() for text in ax.get_yticklabels()]
        return dict(zip(labels, map(float, ax.get_yticks()), strict=True))

    @staticmethod
    def line(ax: Axes, words: str) -> Any:
        """Return the first line that has this label."""
        return next(line for line in ax.get_lines() if line.get_label() == words)

    @staticmethod
    def lines(ax: Axes) -> list[Any]:
        """Return every line."""
        return list(ax.get_lines())

    @staticmethod
    def words(*axes: Axes) -> list[Text]:
        """Return every text of the pictures on one figure that is seen, laid out."""
        figure: Any = axes[0].figure
        figure.canvas.draw()
        found: list[Any] = [text for ax in axes for text in ax.texts]
        for one in [each for ax in axes for each in (ax, *ax.child_axes)]:
            found += [*one.get_xticklabels(), *one.get_yticklabels()]
            found += [child for child in one.get_children() if isinstance(child, Text)]
        for legend in [ax.get_legend() for ax in axes]:
            found += legend.get_texts() if legend else []
        return [text for text in dict.fromkeys(found) if text.get_visible() and text.get_text()]

    @staticmethod
    def pixels(ax: Axes) -> bytes:
        """Return the picture as it is saved."""
        out = io.BytesIO()
        figure: Any = ax.figure
        figure.savefig(out, format="raw")
        return out.getvalue()


@pytest.fixture
def see() -> Eyes:
    """Return what looks at pictures."""
    return Eyes()
