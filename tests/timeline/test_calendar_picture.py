from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.runs.fates import fates
from kst_scheduler.timeline import plot_month
from kst_scheduler.timeline.calendar_picture import FATE_MARKS
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

NIGHT = kst(2026, 5, 4, 3)
DAY = timedelta(days=1)


@pytest.fixture
def judged(table: Callable[[], Any]) -> pd.DataFrame:
    """Five nights from Monday 4 May: ok, late, twice and late, lost, not asked for."""
    runs = table()
    runs.run("A", "nps", NIGHT)
    runs.run("A", "nps", NIGHT + DAY, late=timedelta(hours=2, minutes=35, seconds=4))
    for node in "AB":
        runs.run(node, "nps", NIGHT + 2 * DAY, late=timedelta(hours=9))
    runs.run("A", "nps", NIGHT + 3 * DAY, "missed")
    runs.run("A", "nps", NIGHT + 4 * DAY)
    return fates(runs.table(), {"nps": pd.date_range(NIGHT, periods=4, freq="D")})


def marked(ax: Axes) -> dict[tuple[int, int], str]:
    """Return the mark's shape of each day, by weekday and week."""
    lines: list[Any] = list(ax.get_lines())
    return {
        (int(line.get_xdata()[0]), int(line.get_ydata()[0])): line.get_marker() for line in lines
    }


def tints(ax: Axes) -> dict[tuple[int, int], Any]:
    """Return the colour of each day, by weekday and week."""
    days: list[Any] = [one for one in ax.patches if isinstance(one, Rectangle)]
    return {(int(one.get_x()), int(one.get_y())): one.get_facecolor() for one in days}


def test_each_fate_has_its_mark_and_its_tint_on_its_day(judged: pd.DataFrame) -> None:
    """Told apart by shape as well as colour; 4 May 2026 is the Monday of the second week."""
    ax = plot_month(judged)
    shapes = [FATE_MARKS[fate].shape for fate in ("ok", "late", "duplicated", "lost", "unwanted")]
    assert [marked(ax)[weekday, 1] for weekday in range(5)] == shapes
    assert len(set(shapes)) == 5
    assert len(marked(ax)) == 5
    assert len({tints(ax)[weekday, 1] for weekday in range(6)}) == 6


def test_every_day_of_the_month_has_its_square(judged: pd.DataFrame) -> None:
    """May 2026 begins on a Friday and has 31 days in five weeks."""
    squares = tints(plot_month(judged))
    assert len(squares) == 31
    assert min(squares, key=lambda place: place[::-1]) == (4, 0)
    assert (6, 4) in squares


def test_the_words_say_how_often_and_how_late(judged: pd.DataFrame, see: Any) -> None:
    """To the minute, and the title counts, the worst first."""
    ax = plot_month(judged)
    words = [text.replace("\n", " ") for text in see.texts(ax)]
    said = [word for word in words if not word.isdecimal()]
    assert said == ["ok", "2 h 35 min late", "2 times 9 h late", "lost", "not asked for"]
    assert see.title(ax) == "May 2026: 1 lost, 1 more than once, 1 not asked for, 1 late, 1 ok"
    assert see.legend(ax) == ["ok", "late", "more than once", "lost", "not asked for"]


def test_a_good_month_says_so_and_another_month_is_left_out(
    table: Callable[[], Any], see: Any
) -> None:
    """The first row says the month; what comes after it is not drawn and not counted."""
    runs = table()
    nights = pd.date_range(kst(2026, 5, 30, 3), periods=4, freq="D")
    for night in nights[:2]:
        runs.run("A", "nps", night)
    ax = plot_month(fates(runs.table(), {"nps": nights}))
    assert see.title(ax) == "May 2026: all 2 ok"
    assert len(marked(ax)) == 2


def test_a_day_of_many_occurrences_shows_the_worst(table: Callable[[], Any], see: Any) -> None:
    """Of 24 hours two were lost: so many of so many."""
    runs = table()
    hours = pd.date_range(kst(2026, 5, 4), periods=24, freq="h")
    for hour in hours[2:]:
        runs.run("A", "token", hour)
    ax = plot_month(fates(runs.table(), {"token": hours}))
    assert "2 of 24" in see.texts(ax)
    assert see.title(ax) == "May 2026: 2 lost, 22 ok"


def test_holidays_are_named_and_nothing_is_cut_off(judged: pd.DataFrame, see: Any) -> None:
    """Long names are broken within their day, and all words are within the figure and apart."""
    names = {date(2026, 5, 4 + n): "Alternative holiday for Buddha's Birthday" for n in range(5)}
    ax = plot_month(judged, holidays=names)
    assert see.texts(ax).count("Substitute for\nBuddha's Birthday") == 5
    page = ax.figure.bbox
    boxes = [text.get_window_extent() for text in see.words(ax)]
    for box in boxes:
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


@pytest.mark.parametrize(
    "name",
    [
        "Alternative holiday for National Foundation Day and the Local Election Day",
        "Alternative holiday for Buddha's Birthday; Temporary Public Holiday",
        "부처님오신날대체공휴일및전국동시지방선거일임시공휴일",
        "어린이날 대체공휴일 및 부처님오신날",
        "W" * 60,
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font", "ignore:no font here has Hangul")
def test_a_long_holiday_stays_clear_of_the_fate_and_within_its_day(
    judged: pd.DataFrame, see: Any, name: str
) -> None:
    """It is cut where its room ends, which is less above a fate of two or three lines."""
    ax = plot_month(judged, holidays={date(2026, 5, day): name for day in range(1, 32)})
    words = see.words(ax)
    boxes = [text.get_window_extent() for text in words]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :]), words[number]
    for text in ax.texts:
        x, y = text.get_position()
        corners = ax.transData.transform([(int(x), int(y) + 1), (int(x) + 1, int(y))])
        box = text.get_window_extent()
        assert corners[0][0] <= box.x0 < box.x1 <= corners[1][0], text
        assert corners[0][1] <= box.y0 < box.y1 <= corners[1][1], text
    names = [text for text in ax.texts if float(text.get_fontsize()) < 9]
    assert len(names) == 31
    assert all(text.get_text().endswith("…") for text in names if len(name) > 50)


@pytest.mark.parametrize("size", [(10, 4), (4, 3), (2, 1.2), (1, 0.6)])
def test_days_on_given_axes_say_what_has_room(
    judged: pd.DataFrame, see: Any, size: tuple[float, float]
) -> None:
    """No word leaves its day or touches another; the marks and the tints are always there."""
    names = {date(2026, 5, day): "Children's Day" for day in range(1, 32)}
    ax = plot_month(judged, holidays=names, title="", ax=Figure(size, dpi=100).subplots())
    assert len(marked(ax)) == 5
    assert len(tints(ax)) == 31
    texts = [text for text in see.words(ax) if text in ax.texts]
    boxes = [text.get_window_extent() for text in texts]
    for number, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        x, y = text.get_position()
        corners = ax.transData.transform([(int(x), int(y) + 1), (int(x) + 1, int(y))])
        assert corners[0][0] <= box.x0 < box.x1 <= corners[1][0], text
        assert corners[0][1] <= box.y0 < box.y1 <= corners[1][1], text
        assert not any(box.overlaps(other) for other in boxes[number + 1 :]), text


def test_it_draws_on_given_axes_without_pyplot(judged: pd.DataFrame, see: Any) -> None:
    """As a server or a check does, which must not have the figure shown twice."""
    ax = Figure(figsize=(10, 4)).subplots()
    assert plot_month(judged, ax=ax, title="Ours") is ax
    assert see.title(ax) == "Ours"


def test_bad_input_is_named(judged: pd.DataFrame) -> None:
    """One job at a time, of a table of fates, with rows."""
    with pytest.raises(InvalidArgumentError, match=r"lacks fate; kst_scheduler\.fates makes"):
        plot_month(judged.drop(columns=["fate"]))
    two = pd.concat([judged, judged.assign(job_id="other")])
    with pytest.raises(InvalidArgumentError, match=r"has 'nps', 'other'; write fates\[fates"):
        plot_month(two)
    with pytest.raises(InvalidArgumentError, match="this table has none"):
        plot_month(judged[:0])


def test_korean_dates_count(table: Callable[[], Any]) -> None:
    """18:00 UTC is the next day's night in Seoul, whatever zone the column is in."""
    runs = table()
    due = datetime.fromisoformat("2026-05-03T18:00+00:00")
    runs.run("A", "nps", due)
    judged = fates(runs.table(), {"nps": pd.DatetimeIndex([due])})
    judged["scheduled_at"] = judged["scheduled_at"].dt.tz_convert("UTC")
    assert set(marked(plot_month(judged))) == {(0, 1)}
