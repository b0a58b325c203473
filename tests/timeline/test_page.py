from __future__ import annotations

import re
import subprocess
import sys
import warnings
from datetime import timedelta
from itertools import combinations, pairwise
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from kst_scheduler.timeline import plot_timeline, style
from kst_scheduler.timezone import kst

DAY = kst(2026, 5, 10)


def test_the_legend_lies_outside_the_data(every_status: Any, month: Any) -> None:
    """No mark is ever hidden by the legend."""
    for case in (every_status, month):
        ax = plot_timeline(case)
        ax.figure.canvas.draw()
        legend: Any = ax.get_legend()
        assert not legend.get_window_extent().overlaps(ax.get_window_extent())


@pytest.mark.parametrize("case", ["bad_night", "every_status", "crowded", "month", "many_lanes"])
def test_no_words_leave_the_figure_or_touch_other_words(
    case: str, request: pytest.FixtureRequest, see: Any
) -> None:
    """Every text is whole, at least nine points tall, and free of every other."""
    result = request.getfixturevalue(case)
    jobs = result.runs["job_id"].unique()
    ax = plot_timeline(result, expected={str(jobs[0]): result.start + timedelta(seconds=90)})
    found = see.words(ax)
    page = ax.figure.bbox
    boxes = {text: text.get_window_extent() for text in found}
    for text, box in boxes.items():
        assert page.x0 <= box.x0 < box.x1 <= page.x1, text
        assert page.y0 <= box.y0 < box.y1 <= page.y1, text
        assert text.get_fontsize() >= 9
    touching = [
        (one.get_text(), other.get_text())
        for one, other in combinations(found, 2)
        if boxes[one].padded(-1).overlaps(boxes[other].padded(-1))
    ]
    assert not touching


@pytest.mark.parametrize("case", ["bad_night", "every_status", "month"])
def test_no_words_cover_a_mark(case: str, request: pytest.FixtureRequest, see: Any) -> None:
    """Words within the frame keep clear of every mark."""
    ax = plot_timeline(request.getfixturevalue(case), expected=kst(2026, 5, 10, 3, 40))
    ax.figure.canvas.draw()
    drawn = [line for line in see.lines(ax) if line.get_marker() not in {"None", "", None}]
    spots = np.vstack(
        [ax.transData.transform(np.column_stack([*line.get_data()])) for line in drawn]
    )
    for text in ax.texts:
        box = text.get_window_extent().padded(2)
        inside = (spots > [box.x0, box.y0]) & (spots < [box.x1, box.y1])
        assert not inside.all(axis=1).any(), text


def test_lanes_keep_clear_of_the_frame(bad_night: Any) -> None:
    """The outermost lanes have room above and below."""
    ax = plot_timeline(bad_night)
    bottom, top = ax.get_ylim()
    assert min(ax.get_yticks()) - top > 0.6
    assert bottom - max(ax.get_yticks()) > 0.6
    steps = [low - high for high, low in pairwise(ax.get_yticks())]
    assert min(steps) >= 1


def test_a_hundred_lanes_fit_one_figure(many_lanes: Any) -> None:
    """The figure grows to a limit; beyond it labels are thinned, and numbers count as numbers."""
    ax = plot_timeline(many_lanes)
    figure: Any = ax.figure
    assert figure.get_size_inches() == pytest.approx((8.75, 12))
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels[:2] == ["worker-1  job-1", "worker-1  job-3"]
    assert labels[-1] == "worker-10  job-9"


def test_it_draws_on_the_readers_axes_again_and_again(bad_night: Any, every_status: Any) -> None:
    """Given axes are cleared first, so an explorer draws the next state on the same ones."""
    ax = Figure(figsize=(10, 4)).subplots()
    assert plot_timeline(bad_night, ax=ax) is ax
    plot_timeline(every_status, ax=ax)
    assert len(ax.child_axes) == 1
    assert not plt.get_fignums()


def test_the_picture_is_the_same_whatever_the_reader_has_set(bad_night: Any, see: Any) -> None:
    """A dark style, large fonts and mathematics in labels change no pixel, and remain set."""
    plain = see.pixels(plot_timeline(bad_night))
    own = {"font.size": 20.0, "lines.linewidth": 7.0, "axes.grid": True, "xtick.top": True}
    with mpl.style.context(["dark_background", own]):
        before = dict(mpl.rcParams)
        ax = plot_timeline(bad_night)
        assert dict(mpl.rcParams) == before
    assert see.pixels(ax) == plain


def test_on_dark_axes_the_words_are_read_as_well(bad_night: Any, see: Any) -> None:
    """Axes that were opened in a dark style become white, because the words are dark."""
    pictures = []
    for theirs in ("default", "dark_background"):
        with mpl.style.context(theirs):
            ax = plot_timeline(bad_night, ax=Figure(figsize=(10, 4), dpi=100).subplots())
        pictures.append(see.pixels(ax))
    assert pictures[0] == pictures[1]


def test_a_job_id_is_text(table: Any, see: Any) -> None:
    """Dollar signs are no mathematics; control characters and a megabyte leave no trace."""
    runs = table()
    for name in ("$x_1$ and $", "two\nlines", "y" * 1_000_000):
        runs.run("A", name, DAY)
    ax = plot_timeline(runs.table())
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["A  $x_1$ and $", "A  two\ufffdlines", f"A  {'y' * 15}…{'y' * 8}"]
    see.pixels(ax)


def test_a_korean_id_without_a_korean_font_is_warned_of_once(
    table: Any, see: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the package to install; matplotlib's warning for each letter does not come."""
    monkeypatch.setattr(style, "_font_families", lambda: ("DejaVu Sans",))
    style._say_which_font.cache_clear()
    runs = table()
    for job in ("연금-사업장-수집", "매일-보고서"):
        runs.run("A", job, DAY)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            see.pixels(plot_timeline(runs.table()))
    (warning,) = caught
    assert warning.category is style.FontWarning
    assert re.search("has Hangul.* apt install fonts-nanum.*start Python", str(warning.message))
    assert warning.filename == __file__


@pytest.mark.filterwarnings("ignore:no font here has Hangul")
def test_korean_names_stay_in_the_picture_without_a_korean_font(
    table: Any, see: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The boxes that stand for their letters are wider; so are those of a long title."""
    monkeypatch.setattr(style, "_font_families", lambda: ("DejaVu Sans",))
    runs = table()
    runs.run("서울-데이터센터-인스턴스-십칠", "국민연금-사업장-가입자-수집", DAY)
    pictures = [plot_timeline(runs.table(), title="국민연금공단 사업장 수집 " * 6)]
    figure = Figure(figsize=(10, 4), dpi=100)
    pictures.append(plot_timeline(runs.table(), ax=figure.subplots(), title="수집 작업 " * 15))
    for ax in pictures:
        page = ax.figure.bbox
        korean = [text for text in see.words(ax) if not text.get_text().isascii()]
        assert len(korean) == 2
        for text in korean:
            box = text.get_window_extent()
            assert page.x0 <= box.x0 < box.x1 <= page.x1, text


def test_where_no_box_is_drawn_no_font_is_asked_for(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a Korean font, or Korean words are measured and not drawn."""
    style._say_which_font.cache_clear()
    style.text_width("수집")
    runs = table()
    runs.run("A", "crawl", DAY)
    plot_timeline(runs.table())
    monkeypatch.setattr(style, "_font_families", lambda: ("DejaVu Sans", "NanumGothic"))
    runs.run("A", "수집", DAY)
    plot_timeline(runs.table())


def test_matplotlib_is_imported_for_pictures_only() -> None:
    """The package imports without matplotlib, and a server draws without pyplot."""
    program = """
import sys, kst_scheduler
assert "matplotlib" not in sys.modules
from matplotlib.figure import Figure
from kst_scheduler.runs.table import RunLog
from kst_scheduler.timeline import plot_timeline
plot_timeline(RunLog().table(), ax=Figure().subplots())
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own program
