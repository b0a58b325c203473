from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

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

DAY = kst(2026, 5, 10)
GRACE = {"hourly-token": timedelta(minutes=5), "daily-nps-crawl": timedelta(hours=1)}


def _month(runs: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the noons of a week."""
    noons = pd.date_range(DAY + timedelta(hours=12), periods=7, freq="D")
    judged = fates(runs[runs["job_id"] == "daily-nps-crawl"], {"daily-nps-crawl": noons})
    names = {date(2026, 5, day): "Alternative holiday for Children's Day" for day in range(1, 32)}
    return plot_month(judged, holidays=names, ax=ax)


def _pipeline(_: Any, ax: Axes) -> Axes:
    due = [DAY + timedelta(hours=hour) for hour in range(30)]
    return plot_pipeline(due, due[-1] + timedelta(minutes=20), coalesce=False, ax=ax)


def _week(_: Any, ax: Axes) -> Axes:
    triggers = {"nightly": cron(hour=3), "every ten minutes": cron(minute="*/10")}
    return plot_fire_times(triggers, DAY, DAY + timedelta(days=5), ax=ax)


DRAW: dict[str, Callable[[Any, Axes], Axes]] = {
    "timeline": lambda night, ax: plot_timeline(
        night, expected={"daily-nps-crawl": kst(2026, 5, 10, 3)}, ax=ax
    ),
    "lateness": lambda night, ax: plot_lateness(night, grace=GRACE, ax=ax),
    "fires of a day": lambda _, ax: plot_fire_times(
        {"nightly": cron(hour=3), "never": pd.DatetimeIndex([])}, DAY, DAY + timedelta(1), ax=ax
    ),
    "fires of a week": _week,
    "month": lambda night, ax: _month(night.runs, ax),
    "pipeline": _pipeline,
    "year": lambda _, ax: plot_year(cron(day_of_week="mon-fri", hour=3), 2026, ax=ax),
}


def sheet(size: tuple[float, float], **options: Any) -> Figure:
    """Return a figure that pyplot does not know and that can be drawn."""
    figure = Figure(size, dpi=100, **options)
    FigureCanvasAgg(figure)
    return figure


def assert_apart(words: list[Any], figure: Any) -> None:
    """Assert that all words are on the figure and none touches another."""
    boxes = {text: text.get_window_extent() for text in words}
    for text, box in boxes.items():
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
    touching = [
        (one.get_text(), other.get_text())
        for one, other in combinations(words, 2)
        if boxes[one].padded(-1).overlaps(boxes[other].padded(-1))
    ]
    assert not touching


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize("size", [(10, 4), (5, 3), (3, 2), (4, 1.3), (2, 1.2), (1, 0.5)], ids=str)
def test_no_words_leave_a_figure_of_any_size_or_touch(
    name: str, size: tuple[float, float], bad_night: Any, see: Any
) -> None:
    """What has no room is left out; the marks never are."""
    ax = sheet(size).subplots()
    DRAW[name](bad_night, ax)
    assert_apart(see.words(ax), ax.figure)
    box, page = ax.get_window_extent(), ax.figure.bbox
    assert box.width > 0.35 * page.width or size[0] > 2
    assert box.width > 70
    assert box.height > min(25, 0.35 * page.height)
    assert len(ax.get_lines()) + len(ax.collections) > 0


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize("size", [pytest.param((10, 7), marks=pytest.mark.long), (6, 4)], ids=str)
def test_in_a_grid_each_picture_keeps_to_its_share(
    name: str, size: tuple[float, float], bad_night: Any, see: Any
) -> None:
    """Four pictures beside and below each other; neither their order nor repetition counts."""
    figure = sheet(size)
    axes = list(figure.subplots(2, 2).flat)
    for ax in [*axes, axes[2], axes[0]]:
        DRAW[name](bad_night, ax)
    assert_apart(see.words(*axes), figure)
    frames = [ax.get_window_extent() for ax in axes]
    for text in see.words(*axes):
        box = text.get_window_extent().padded(-1)
        assert sum(box.overlaps(frame) for frame in frames) <= 1, text
    places = [ax.get_position().bounds for ax in axes]
    for ax in reversed(axes):
        DRAW[name](bad_night, ax)
    assert [ax.get_position().bounds for ax in axes] == [pytest.approx(one) for one in places]


def test_notes_of_incidents_that_have_no_room_are_left_out(month: Any, see: Any) -> None:
    """Three nodes with many incidents in the width of a phone."""
    ax = sheet((3, 7)).subplots()
    plot_timeline(month, ax=ax)
    assert_apart(see.words(ax), ax.figure)
    assert "C: frozen 15x" in see.texts(ax)
    assert not [text for text in see.texts(ax) if text.startswith("A: frozen 1x")]


@pytest.mark.parametrize(("count", "size"), [(60, (10, 12)), (26, (7, 5))], ids=str)
def test_notes_of_so_many_nodes_leave_their_lanes_room(
    count: int, size: tuple[float, float], table: Any, struck: Any, see: Any
) -> None:
    """Each node is frozen once; their notes together are taller than the axes."""
    runs, names = table(), [f"node-{number:02}" for number in range(count)]
    for name in names:
        runs.run(name, "nightly", DAY + timedelta(hours=3))
    frozen = struck(
        *[(name, "freeze", DAY, DAY + timedelta(hours=2), "") for name in names],
        (names[0], "clock_jump", DAY + timedelta(hours=1), None, "60"),
    )
    ax = sheet(size).subplots()
    plot_timeline(runs.table(), incidents=frozen, end=DAY + timedelta(hours=5), ax=ax)
    assert_apart(see.words(ax), ax.figure)
    bottom, top = ax.get_ylim()
    assert bottom > max(see.lanes(ax).values()) > min(see.lanes(ax).values()) > top


@pytest.mark.parametrize("name", ["month", "pipeline"])
@pytest.mark.parametrize("width", [10, 5, 4, 3.2])
def test_no_mark_covers_the_words_beside_it(
    name: str, width: float, bad_night: Any, see: Any
) -> None:
    """In a narrow picture, as in a grid of four."""
    ax = sheet((width, 4)).subplots()
    DRAW[name](bad_night, ax)
    words = [text.get_window_extent().padded(-0.5) for text in see.words(ax)]
    for line in see.lines(ax):
        if str(line.get_marker()) == "None":
            continue
        half = line.get_markersize() / 2 * ax.figure.dpi / 72
        for x, y in ax.transData.transform(line.get_xydata()):
            mark = Bbox.from_extents(x - half, y - half, x + half, y + half)
            assert not any(mark.overlaps(box) for box in words), (x, y)


def test_different_pictures_stand_side_by_side(bad_night: Any, see: Any) -> None:
    """As a report has them."""
    figure = sheet((14, 12))
    axes = list(figure.subplots(4, 2).flat)
    for ax, draw in zip(axes, DRAW.values(), strict=False):
        draw(bad_night, ax)
    assert_apart(see.words(*axes[: len(DRAW)]), figure)


def test_axes_with_room_around_them_keep_their_place(bad_night: Any) -> None:
    """Only edges whose words would have no room move; and they go back when there is room."""
    figure = sheet((12, 8))
    ax = figure.add_axes((0.3, 0.3, 0.5, 0.4))
    plot_timeline(bad_night, ax=ax)
    assert ax.get_position().bounds == pytest.approx((0.3, 0.3, 0.5, 0.4))
    ax.set_position((0.0, 0.3, 0.5, 0.4))
    plot_timeline(bad_night, ax=ax)
    left, bottom, width, height = ax.get_position().bounds
    assert left > 0.1
    assert (bottom, left + width, height) == pytest.approx((0.3, 0.5, 0.4))
    plot_timeline(bad_night, title="a", ax=ax)
    assert ax.get_position().bounds == pytest.approx((left, bottom, width, height))
    plot_year(cron(hour=3), 2026, ax=ax)  # its labels are shorter
    assert ax.get_position().x0 < left


@pytest.mark.parametrize("layout", ["constrained", "tight"])
def test_a_layout_of_the_readers_makes_the_room_itself(
    layout: Any, bad_night: Any, see: Any
) -> None:
    """The axes stay in the layout."""
    figure = sheet((10, 8), layout=layout)
    axes = list(figure.subplots(2, 1).flat)
    for ax in axes:
        plot_timeline(bad_night, ax=ax)
        assert ax.get_in_layout()
    assert_apart(see.words(*axes), figure)


def test_a_dark_style_is_the_same_in_a_grid(bad_night: Any, see: Any) -> None:
    """The words are dark, so the figure becomes white."""
    pictures = []
    for theirs in ("default", "dark_background"):
        with mpl.style.context(theirs):
            axes = sheet((8, 6)).subplots(2, 2)
            for ax in axes.flat:
                plot_timeline(bad_night, ax=ax)
        pictures.append(see.pixels(axes[0, 0]))
    assert pictures[0] == pictures[1]


def test_a_subfigure_has_a_share_of_its_own(bad_night: Any, see: Any) -> None:
    """Its edge is an edge of the picture."""
    figure = sheet((14, 5))
    halves: Any = figure.subfigures(1, 2)
    axes = [half.subplots() for half in halves]
    for ax in axes:
        plot_timeline(bad_night, ax=ax)
    assert_apart(see.words(*axes), figure)


def test_moments_are_not_shared(bad_night: Any) -> None:
    """A picture that was drawn on other axes of the figure leaves these as they were."""
    figure = sheet((10, 4))
    mine, theirs = figure.subplots(1, 2)
    before = theirs.get_position().bounds
    plot_timeline(bad_night, start=datetime(2026, 5, 10, tzinfo=DAY.tzinfo), ax=mine)
    assert theirs.get_position().bounds == before
