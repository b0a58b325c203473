"""The main pictures against stored ones, as a last look at the whole.

Two pictures are the same when the root of the mean squared difference of their pixels (0 to 255)
is at most ``TOLERANCE``: on one machine it is 0, another processor rounds a few edges. One mark
more or less is beyond it, which a test below proves. Another minor version of matplotlib may set
text differently, so they are compared on the one that drew them.

After a change that is meant: ``REDRAW_PICTURES=1 uv run pytest tests/timeline/test_pictures.py``,
look at each changed picture in ``baseline/``, and commit them.
"""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.testing.compare import compare_images

from kst_scheduler.runs.fates import fates
from kst_scheduler.timeline import (
    plot_fire_times,
    plot_lateness,
    plot_month,
    plot_timeline,
    plot_year,
)
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.pictures import plot_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

BASELINE: Final = Path(__file__).parent / "baseline"
DRAWN_WITH: Final = "3.11"
TOLERANCE: Final = 0.7
LATE: Final = timedelta(hours=2, minutes=35)

same_version = pytest.mark.skipif(
    not mpl.__version__.startswith(DRAWN_WITH + "."),
    reason=f"the stored pictures were drawn with matplotlib {DRAWN_WITH}, not {mpl.__version__}",
)


def a_bad_night(result: Any) -> Axes:
    """Draw what the workbook begins with."""
    return plot_timeline(result, expected={"daily-nps-crawl": kst(2026, 5, 10, 3)})


def a_week_of_fires(_: Any) -> Axes:
    """Draw three triggers, a row a day."""
    triggers = {
        "nightly": cron(hour=3, minute=0),
        "weekdays at nine": cron(day_of_week="mon-fri", hour=9, minute=0),
        "every ten minutes": cron(minute="*/10"),
    }
    return plot_fire_times(triggers, kst(2026, 5, 10), kst(2026, 5, 17))


def a_year(_: Any) -> Axes:
    """Draw weekdays without the fixed holidays of the first half of 2026."""
    return plot_year(cron(day_of_week="mon-fri", hour=3, minute=0), 2026, calendar=FixedHolidays())


def a_pipeline(_: Any) -> Axes:
    """Draw five hourly run times after a sleep, with a grace time of two hours."""
    due = [kst(2026, 5, 10, hour) for hour in range(5)]
    now = kst(2026, 5, 10, 4, 0, 20)
    return plot_pipeline(due, now, coalesce=False, grace=timedelta(hours=2))


def a_calendar(month: Any) -> Axes:
    """Draw the nights of May, of which some were late, lost, doubled and not asked for."""
    nights = pd.date_range(kst(2026, 5, 1, 3), periods=31, freq="D")
    runs = month.runs[month.runs["job_id"] == "nightly"]
    late = runs["scheduled_at"].dt.day == 12
    runs = runs.assign(started_at=runs["started_at"].mask(late, runs["started_at"] + LATE))
    again = runs[(runs["scheduled_at"].dt.day % 7 == 0) & (runs["status"] == "ok")]
    judged = fates(
        pd.concat([runs[runs["scheduled_at"].dt.day != 20], again]),
        {"nightly": nights.delete(24)},
    )
    holidays = {date(2026, 5, 5): "Children's Day"}
    holidays[date(2026, 5, 25)] = "Alternative holiday for Buddha's Birthday"
    return plot_month(judged, holidays=holidays)


class FixedHolidays:
    """Some days off, so that the picture does not change with the holidays package."""

    def is_business_day(self, day: Any, /) -> bool:
        """Say whether ``day`` is worked."""
        return (day.month, day.day) not in {(1, 1), (3, 2), (5, 1), (5, 5), (12, 25)}


PICTURES: Final[dict[str, tuple[Callable[[Any], Axes], str]]] = {
    "bad-night": (a_bad_night, "bad_night"),
    "every-status": (plot_timeline, "every_status"),
    "crowded": (plot_timeline, "crowded"),
    "month": (plot_timeline, "month"),
    "lateness": (plot_lateness, "every_status"),
    "fires-of-a-week": (a_week_of_fires, "bad_night"),
    "year": (a_year, "bad_night"),
    "calendar": (a_calendar, "month"),
    "pipeline": (a_pipeline, "bad_night"),
}


def save(ax: Axes, path: Path) -> None:
    """Save without the metadata that would name versions."""
    figure: Any = ax.figure
    figure.savefig(path, metadata={"Software": None})


@same_version
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_as_it_was(name: str, tmp_path: Path, request: Any) -> None:
    """Nothing changes a picture by accident."""
    draw, case = PICTURES[name]
    drawn, stored = tmp_path / f"{name}.png", BASELINE / f"{name}.png"
    save(draw(request.getfixturevalue(case)), drawn)
    if os.environ.get("REDRAW_PICTURES"):
        stored.write_bytes(drawn.read_bytes())
    difference = compare_images(str(stored), str(drawn), tol=TOLERANCE)
    assert difference is None, difference


@same_version
def test_one_mark_less_is_another_picture(bad_night: Any, see: Any, tmp_path: Path) -> None:
    """The tolerance lets rounding through, and no run."""
    ax = a_bad_night(bad_night)
    marks = see.line(ax, "ok")
    marks.set_data(marks.get_xdata()[1:], marks.get_ydata()[1:])
    save(ax, tmp_path / "drawn.png")
    stored = str(BASELINE / "bad-night.png")
    assert compare_images(stored, str(tmp_path / "drawn.png"), tol=TOLERANCE) is not None
