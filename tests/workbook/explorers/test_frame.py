from __future__ import annotations

import pandas as pd
import pytest

from kst_scheduler import kst
from kst_scheduler.timeline.style import MARKS, TITLE, text_width
from kst_workbook.explorers.drawing import WIDTH, Lines, Words
from kst_workbook.explorers.frame import Frame, Lane, draw_legend, mark_entry, open_frame

START, END = pd.Timestamp(kst(2026, 5, 10, 2)), pd.Timestamp(kst(2026, 5, 10, 5))


def opened(title: str = "3 missed", lanes: int = 2) -> Frame:
    """Return a frame of three hours."""
    return open_frame(
        title, [Lane(f"node-{n}  crawl", "clock right") for n in range(lanes)], START, END
    )


def words_of(frame: Frame) -> list[Words]:
    """Return what is written in it."""
    return [shape for shape in frame.drawing.shapes if isinstance(shape, Words)]


def extent(words: Words) -> tuple[float, float]:
    """Return from where to where the words reach, in points."""
    wide = text_width(words.text, words.size, bold=words.bold)
    left = words.x - {"start": 0.0, "middle": wide / 2, "end": wide}[words.anchor]
    return left, left + wide


@pytest.mark.parametrize("title", ["short", "a title of many words, " * 12])
def test_no_words_are_cut_off_and_the_size_is_fixed(title: str) -> None:
    """A long title takes its two lines, and the page beneath does not jump."""
    frame = opened(title)
    draw_legend(frame, [mark_entry(mark) for mark in MARKS.values()] * 2)
    for words in words_of(frame):
        left, right = extent(words)
        assert left > 0, words
        assert right <= WIDTH, words
        assert TITLE <= words.y < frame.drawing.height, words
    assert frame.drawing.height == opened().drawing.height
    assert frame.drawing.title == title


def test_utc_stands_above_the_same_moment_in_seoul() -> None:
    """03:00 in Seoul is 18:00 of the day before."""
    frame = opened()
    at_three = [
        words.text
        for words in words_of(frame)
        if words.x == frame.x(pd.Timestamp(kst(2026, 5, 10, 3)))
    ]
    assert sorted(at_three) == ["03:00", "18:00"]
    assert {"KST", "UTC", "10 May 2026", "9 May 2026"} <= {words.text for words in words_of(frame)}


def test_moments_lie_in_proportion_and_what_is_outside_at_the_edge() -> None:
    """Nothing is drawn beyond the axis."""
    frame = opened()
    middle = frame.x(START + (END - START) / 2)
    assert middle - frame.x(START) == pytest.approx(frame.x(END) - middle)
    assert frame.x(START - pd.Timedelta(days=1)) == pytest.approx(frame.left)
    assert frame.x(END + pd.Timedelta(days=1)) == pytest.approx(frame.right)


def test_lanes_lie_between_the_axes_at_one_distance() -> None:
    """The note stands beneath the name, both beside the lane's line."""
    frame = opened(lanes=3)
    ys = [frame.y(lane) for lane in range(3)]
    assert frame.top < ys[0] < ys[1] < ys[2] < frame.bottom
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1])
    lines = [shape for shape in frame.drawing.shapes if isinstance(shape, Lines)]
    drawn = {point[1] for line in lines for stroke in line.strokes for point in stroke}
    assert set(ys) <= drawn
    name, note = (
        next(w.y for w in words_of(frame) if w.text == text)
        for text in ("node-0  crawl", "clock right")
    )
    assert name < note
