"""The page of a picture: a figure whose margins fit its labels, or the caller's own axes.

The caller's axes shrink to make room for the labels around them. A picture draws only on their
share of the figure, which ends half way to the next axes. If that is too small, the legend is left
out first, then the title, then everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.transforms import Bbox

from kst_scheduler.timeline.hover import forget
from kst_scheduler.timeline.inline import Picture
from kst_scheduler.timeline.kst_axis import BAND
from kst_scheduler.timeline.style import DPI, LINE, QUIET, TEXT, TITLE, boxes, drawn_width
from kst_scheduler.timeline.words import wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

WIDTH: Final = 630.0
"""Width of a figure in points. Its letters are read in a narrow window too, where it shrinks."""
WIDE: Final = 720.0
"""Width of one with columns of words."""
MAX_HEIGHT: Final = 864.0
"""No figure is taller than 12 inches, however many lanes it has."""
RIGHT: Final = 40.0
GAP: Final = 8.0
_MIN_LEFT: Final = 66.0
_HANDLE: Final = 34.0
"""What an entry of the legend is wider than its words."""
_BETWEEN: Final = 4.0
_RIGHT_OF_GIVEN: Final = 14.0
"""The room that half a tick's label needs behind the last moment."""
_MIN_AXES: Final = (72.0, 36.0)
"""Width and height in points of axes that words may stand around."""

_MOVED: Final[WeakKeyDictionary[Axes, tuple[Bbox, Bbox]]] = WeakKeyDictionary()
"""Where the reader put axes, and where a picture put them: the next one begins from the first."""


@dataclass(frozen=True)
class Page:
    """Axes and their size in points; ``left`` is the room before them that a title may use.

    ``bands`` is the height of what stands above and below the axes: ticks and their labels.
    """

    ax: Axes
    width: float
    height: float
    left: float
    bands: tuple[float, float]
    right_margin: float = RIGHT
    has_legend: bool = True
    has_words: bool = True
    """Whether there is room for any words: titles, labels, notes."""

    @property
    def day(self) -> float:
        """A point's width on a time axis, in matplotlib's days."""
        first, last = self.ax.get_xlim()
        return (last - first) / self.width

    def below(self, points: float) -> float:
        """Return a height below the axes as a share of theirs, as matplotlib places legends."""
        return -points / self.height

    def right(self, points: float) -> float:
        """Return a distance from the left edge as a share of the axes' width."""
        return points / self.width


def left_margin(labels: Sequence[str]) -> float:
    """Return the room that the labels before the axes need."""
    return max([_MIN_LEFT, *(drawn_width(label) * 1.02 + 8 + GAP for label in labels)])


def own_page(
    title: str,
    left: float,
    height: float,
    legend: Sequence[str] = (),
    bands: tuple[float, float] = (BAND, BAND),
    full: float = WIDTH,
) -> Page:
    """Open a figure around axes ``height`` points tall, and write the title above them.

    ``legend`` holds the words that the legend will have, so that the room for it is kept. ``full``
    is the width of the figure in points.
    """
    import matplotlib.pyplot as plt  # noqa: PLC0415 - a server draws on its own axes, without it

    title = wrap(title, (full - 2 * GAP) / boxes(title), TITLE, bold=True)
    above, below = margins(title, legend, bands, full - 2 * GAP)
    total = above + height + below
    figure = plt.figure(figsize=(full / 72, total / 72), dpi=DPI, FigureClass=Picture)
    width = full - left - RIGHT
    ax = figure.add_axes((left / full, below / total, width / full, height / total))
    return _titled(Page(ax, width, height, left - GAP, bands), title)


def page_on(
    ax: Axes,
    title: str,
    left: float,
    legend: Sequence[str] = (),
    bands: tuple[float, float] = (BAND, BAND),
) -> Page:
    """Clear the reader's axes and use them, as large as the words around them leave them.

    The words are dark, so the figure becomes white, whatever style it was opened with.
    """
    ax.clear()
    forget(ax)
    ax.set_facecolor("white")
    ax.figure.set_facecolor("white")
    box, slot = _boxes(ax)
    text = wrap(title, (slot.width - 2 * GAP) / boxes(title), TITLE, bold=True)
    for has_title, has_legend in ((True, True), (True, False), (False, False)):
        words = legend if has_legend else ()
        if words and max(map(drawn_width, words)) + _HANDLE > slot.width - 2 * GAP:
            continue
        inner = _inside(box, slot, left, text if has_title else "", words, bands)
        if inner.width >= _MIN_AXES[0] and inner.height >= _MIN_AXES[1]:
            _place(ax, inner)
            before = max(0.0, inner.x0 - slot.x0 - GAP)
            page = Page(ax, inner.width, inner.height, before, bands, _RIGHT_OF_GIVEN, has_legend)
            return _titled(page, text) if has_title else page
    _place(ax, box)
    return Page(ax, box.width, box.height, 0, (0, 0), 0, has_legend=False, has_words=False)


def _boxes(ax: Axes) -> tuple[Bbox, Bbox]:
    """Return the reader's axes and their share of the figure, in points."""
    figure: Any = ax.figure
    scale = 72 / figure.dpi
    x0, y0, x1, y1 = (edge * scale for edge in figure.bbox.extents)
    box, *others = (
        Bbox(_given(each).transformed(figure.transSubfigure).get_points() * scale)
        for each in (ax, *(other for other in figure.axes if other is not ax))
    )
    for other in others:
        if other.y0 < box.y1 and box.y0 < other.y1:  # beside it
            x0 = max(x0, (other.x1 + box.x0) / 2) if other.x1 <= box.x0 else x0
            x1 = min(x1, (other.x0 + box.x1) / 2) if other.x0 >= box.x1 else x1
        if other.x0 < box.x1 and box.x0 < other.x1:  # above or below it
            y0 = max(y0, (other.y1 + box.y0) / 2) if other.y1 <= box.y0 else y0
            y1 = min(y1, (other.y0 + box.y1) / 2) if other.y0 >= box.y1 else y1
    return box, Bbox.from_extents(x0, y0, x1, y1)


def _given(ax: Axes) -> Bbox:
    """Return where the reader put the axes, also where a picture has moved their edges."""
    position = ax.get_position(original=True)
    given, placed = _MOVED.get(ax, (position, position))
    return given if np.array_equal(placed.get_points(), position.get_points()) else position


def _inside(
    box: Bbox,
    slot: Bbox,
    left: float,
    title: str,
    legend: Sequence[str],
    bands: tuple[float, float],
) -> Bbox:
    """Return what is left of the axes where the words have their room."""
    x0, x1 = max(box.x0, slot.x0 + left), min(box.x1, slot.x1 - _RIGHT_OF_GIVEN)
    width = x1 - slot.x0 - GAP + _RIGHT_OF_GIVEN - GAP
    above, below = margins(title, legend, bands, width)
    return Bbox.from_extents(x0, max(box.y0, slot.y0 + below), x1, min(box.y1, slot.y1 - above))


def _place(ax: Axes, box: Bbox) -> None:
    figure: Any = ax.figure
    if figure.get_layout_engine() is not None:
        return  # it makes room for the words, whenever it draws
    inverse = figure.transSubfigure.inverted()
    given, placed = _given(ax), Bbox(box.get_points() * figure.dpi / 72).transformed(inverse)
    if np.allclose(given.get_points(), placed.get_points(), rtol=0, atol=1e-9):
        placed = given
    ax.set_position(placed)
    _MOVED[ax] = (given, ax.get_position(original=True))


def margins(
    title: str,
    legend: Sequence[str] = (),
    bands: tuple[float, float] = (BAND, BAND),
    width: float = WIDTH - 2 * GAP,
) -> tuple[float, float]:
    """Return the room above and below the axes for title, tick labels and legend."""
    lines = title.count("\n") + 1
    above = GAP + (lines * TITLE * LINE + GAP if title else 0) + bands[0]
    rows = legend_rows(legend, width)
    return above, bands[1] + GAP + rows * (TEXT * LINE + _BETWEEN) + GAP * bool(rows)


def legend_rows(words: Sequence[str], width: float) -> int:
    """Return how many rows a legend needs where it may be ``width`` points wide."""
    for columns in range(len(words), 1, -1):
        # matplotlib fills a legend column by column, and each is as wide as its widest entry.
        each = np.array_split(np.array([drawn_width(entry) for entry in words]), columns)
        if sum(float(column.max()) + _HANDLE for column in each) <= width:
            return -(-len(words) // columns)
    return len(words)


def draw_empty(page: Page) -> Axes:
    """Say that there is nothing to draw, where there is not even a time."""
    page.ax.set_axis_off()
    say_empty(page)
    return finished(page)


def say_empty(page: Page) -> None:
    """Say in the middle of the picture that there is nothing to draw."""
    page.ax.text(
        0.5,
        0.5,
        "no runs to draw",
        transform=page.ax.transAxes,
        ha="center",
        va="center",
        color=QUIET,
    )


def _titled(page: Page, title: str) -> Page:
    x = page.right(-page.left)
    page.ax.set_title(title, loc="left", x=x, y=1, pad=page.bands[0] + GAP)
    return page


def draw_legend(page: Page, artists: Sequence[Artist], marker_size: float = 0) -> None:
    """Write the legend below the axes and their tick labels, outside the data."""
    if not artists or not page.has_legend:
        return
    words = [str(artist.get_label()) for artist in artists]
    rows = legend_rows(words, page.width + page.left + page.right_margin - GAP)
    legend = page.ax.legend(
        handles=artists,
        loc="upper left",
        bbox_to_anchor=(page.right(-page.left), page.below(page.bands[1] + GAP)),
        ncols=-(-len(artists) // rows),
        borderaxespad=0,
        borderpad=0,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.6,
    )
    for handle in legend.legend_handles:
        _enlarge(handle, marker_size)


def finished(page: Page) -> Axes:
    """Return the axes of a picture that is drawn, without words where these have no room."""
    if not page.has_words:
        page.ax.set_xticks([])
        page.ax.set_yticks([])
        for child in page.ax.child_axes:
            child.set_xticks([])
        for text in [*page.ax.texts]:
            text.remove()
    return page.ax


def _enlarge(handle: Any, size: float) -> None:
    """Show a mark in the legend as large as it is where there is room for it."""
    if handle is not None and hasattr(handle, "get_markersize") and handle.get_markersize() < size:
        handle.set_markersize(size)
