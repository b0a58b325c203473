from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.patches import Rectangle

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.timeline import plot_year
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from datetime import date

    from matplotlib.axes import Axes


class OneHoliday:
    """A calendar in which Tuesday 5 May 2026 is the only day off, weekends included."""

    def is_business_day(self, day: date, /) -> bool:
        """Say whether ``day`` is worked."""
        return day.isoformat() not in {"2026-05-05", "2026-05-09"}


def mesh(ax: Axes) -> Any:
    """Return the fires a day, weekdays down and weeks across; masked outside the year."""
    (found,) = [one for one in ax.collections if isinstance(one, QuadMesh)]
    return found.get_array()


def test_each_day_of_the_year_has_a_square() -> None:
    """1 January 2026 is the first week's Thursday; a nightly trigger fires once on every day."""
    grid = mesh(plot_year(cron(hour=3, minute=0), 2026))
    assert grid.shape == (7, 53)
    assert grid.count() == 365
    assert grid.sum() == 365
    assert list(grid.mask[:, 0]) == [True] * 3 + [False] * 4


def test_fires_are_counted_by_the_korean_date(see: Any) -> None:
    """18:00 UTC on New Year's Eve is New Year in Seoul; other years are left out."""
    moments = pd.DatetimeIndex(["2025-12-31T18:00Z", "2026-05-10T18:00Z", "2026-12-31T18:00Z"])
    ax = plot_year(moments.repeat([1, 3, 1]), 2026)
    grid = mesh(ax)
    assert grid[3, 0] == 1
    assert grid.max() == 3
    assert see.title(ax) == "2026: 4 fires on 2 days"
    assert see.legend(ax) == ["no fire", "1 a day", "3 a day"]


def test_weekday_holidays_are_outlined_and_counted(see: Any) -> None:
    """A fire on a holiday is seen as a filled square in an outline; Saturdays have no outline."""
    ax = plot_year(cron(hour=3, minute=0), 2026, calendar=OneHoliday())
    (outline,) = [one for one in ax.patches if isinstance(one, Rectangle)]
    assert (round(outline.get_x(), 1), round(outline.get_y(), 1)) == (18.1, 1.1)
    assert see.title(ax) == "2026: 365 fires on 365 days, on 1 of 1 weekday holiday"
    assert see.legend(ax)[-1] == "holiday"
    none = plot_year(pd.DatetimeIndex([]), 2026, calendar=OneHoliday())
    assert see.title(none) == "2026: 0 fires on 0 days, on none of 1 weekday holiday"


def test_many_numbers_share_five_shades(see: Any) -> None:
    """A legend of twenty shades could not be read; ranges can."""
    days = pd.date_range(kst(2026, 1, 1, 3), periods=365, freq="D")
    ax = plot_year(days.repeat(np.arange(365) % 23), 2026)
    assert see.legend(ax) == [
        "no fire",
        "1 to 4 a day",
        "5 to 8 a day",
        "9 to 13 a day",
        "14 to 17 a day",
        "18 to 22 a day",
    ]


def test_all_words_are_in_the_figure(see: Any) -> None:
    """Months above, weekdays before, the legend below."""
    ax = plot_year(cron(hour=3, minute=0), 2028, calendar=OneHoliday())
    page = ax.figure.bbox
    for text in see.words(ax):
        box = text.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1, text
        assert page.y0 <= box.y0 < box.y1 <= page.y1, text
    assert see.texts(ax)[:2] == ["Jan", "Feb"]


def test_bad_input_is_named() -> None:
    """A year is a number, times have a zone."""
    with pytest.raises(InvalidArgumentError, match=r"year='2026' is not a year.*write 2026"):
        plot_year(cron(hour=3), "2026")  # type: ignore[arg-type]
    with pytest.raises(NaiveDatetimeError, match=r"times_or_trigger=.* no time zone"):
        plot_year(pd.DatetimeIndex(["2026-05-10"]), 2026)
    with pytest.raises(InvalidArgumentError, match="times_or_trigger=3 is no trigger"):
        plot_year(3, 2026)
