from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pytest

from kst_scheduler.timeline.inline import Picture, bundle
from kst_workbook.pictures import panels
from seen_pictures import Eyes, no_figure_left

__all__ = ["no_figure_left"]


def test_panels_share_their_x_axis_and_label_it_once() -> None:
    """One below another; the numbers of days stand under the last."""
    first, last = panels("rows", "minutes")
    first.plot([1, 31], [250, 250], "o")
    last.set_xticks([1, 16, 31])
    assert first.get_xlim() == last.get_xlim()
    assert first.get_position().y0 > last.get_position().y1
    seen = [text.get_text() for text in Eyes.words(first, last)]
    assert [seen.count(number) for number in ("1", "16", "31")] == [1, 1, 1]


def test_panels_are_a_picture_of_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shown as the others are, with bold titles at the left, whatever the reader has set."""
    with mpl.style.context("dark_background"):
        ax, other = panels("rows", "minutes: all in time")
    assert isinstance(ax.figure, Picture)
    monkeypatch.setenv("KST_PICTURES", "png")
    data, _ = bundle(ax.figure)
    assert data["text/plain"] == "rows; minutes: all in time"
    assert mpl.colors.to_hex(ax.get_facecolor()) == "#ffffff"
    assert Eyes.title(other) == "minutes: all in time"
    assert other.title.get_text() == ""


@pytest.mark.parametrize("numbers", [[0, 1, 2], [84, 100], [0, 29], [85, 250], [0, 500]])
def test_no_words_touch(numbers: list[int]) -> None:
    """Neither the highest tick and the title above it, nor any other two."""
    axes = panels("first", "second " * 25, height=76)
    for ax in axes:
        ax.plot(numbers, numbers, "o")
    axes[-1].set_xlabel("May 2026")
    found: list[Any] = [text for text in Eyes.words(*axes) if text not in beyond(axes)]
    boxes = [text.get_window_extent() for text in found]
    page = axes[0].figure.bbox
    for number, box in enumerate(boxes):
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :]), found[number]


def beyond(axes: list[Any]) -> list[Any]:
    """Return the labels of ticks that are not drawn, as they lie outside the axes."""
    found = []
    for axis in [each for ax in axes for each in (ax.xaxis, ax.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        ticks = axis.get_major_ticks()
        found += [tick.label1 for tick in ticks if not low <= tick.get_loc() <= high]
    return found
