from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from kst_scheduler import crontab, fire_times, kst
from kst_workbook.explorers.drawing import Box, Lines, Spot
from kst_workbook.explorers.week import draw_week

if TYPE_CHECKING:
    from kst_workbook.explorers.drawing import Drawing

START, END = kst(2026, 5, 4), kst(2026, 5, 11)


def week(*lines: str) -> Drawing:
    """Draw the fire times of crontab lines, by themselves."""
    return draw_week({line: fire_times(crontab(line), START, END) for line in lines}, START)


def hovers(drawing: Drawing, kind: Any) -> list[str]:
    """Return what shapes of a kind say where the mouse rests on them."""
    return [shape.hover for shape in drawing.shapes if isinstance(shape, kind) and shape.hover]


def test_a_fire_that_stands_alone_is_a_mark_that_says_when() -> None:
    """Seven nights, one below another at the same hour."""
    drawing = week("0 3 * * *")
    spots = [shape for shape in drawing.shapes if isinstance(shape, Spot) and shape.hover]
    assert spots[0].hover == "0 3 * * *\n4 May 03:00 KST\n3 May 18:00 UTC"
    assert len(spots) == 7
    assert len({round(spot.x, 6) for spot in spots}) == 1
    assert sorted({spot.y for spot in spots}) == [spot.y for spot in spots]
    assert drawing.title == "fires in 7 days: 0 3 * * * (7)"


def test_two_readings_have_a_line_each_in_a_day() -> None:
    """Marks of one do not lie on those of the other."""
    spots = [shape for shape in week("0 3 * * *", "1 3 * * *").shapes if isinstance(shape, Spot)]
    ours, theirs = (
        {s.y for s in spots if s.mark.words == line and s.hover}
        for line in ("0 3 * * *", "1 3 * * *")
    )
    assert not ours & theirs


def test_many_fires_are_ticks_and_more_are_a_band() -> None:
    """A picture of every minute has a band a day, which counts them."""
    assert hovers(week("*/10 * * * *"), Lines)[0] == (
        "*/10 * * * *: 144 fires\n"
        "4 May 00:00 KST\n3 May 15:00 UTC\nto\n4 May 23:50 KST\n4 May 14:50 UTC"
    )
    drawing = week("* * * * *")
    bands = hovers(drawing, Box)
    assert len(bands) == 7
    assert "1,440 fires" in bands[0]
    assert len(drawing.svg()) < 10_000


def test_a_band_ends_where_the_fires_do() -> None:
    """Two hours of every minute, far apart, are two bands and not one over the hours between."""
    bands = [shape for shape in week("* 3,20 * * *").shapes if isinstance(shape, Box)]
    assert len(bands) == 14
    hour = (628 - bands[0].x) / 24
    assert all(band.width < 1.2 * hour for band in bands)


def test_a_reading_that_never_fires_has_no_marks() -> None:
    """It stays in the legend, and the title counts none."""
    drawing = draw_week({"never": pd.DatetimeIndex([], tz="Asia/Seoul")}, START)
    assert not hovers(drawing, Spot)
    assert drawing.title == "fires in 7 days: never (0)"


def test_the_size_is_the_same_whatever_fires() -> None:
    """The page beneath does not jump while one types."""
    assert week("* * * * *").height == week("0 3 1 1 *").height
