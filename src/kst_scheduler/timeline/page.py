"""The page of a picture: a figure whose margins fit its words, or the reader's own axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.timeline.kst_axis import BAND
from kst_scheduler.timeline.style import DPI, LINE, QUIET, TEXT, TITLE, text_width
from kst_scheduler.timeline.words import wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

WIDTH: Final = 720.0
"""Width of a figure in points: 10 inches, which fits a notebook's column."""
TALLEST: Final = 864.0
"""No figure is taller than 12 inches, however many lanes it has."""
RIGHT: Final = 40.0
GAP: Final = 8.0
_NARROWEST_LEFT: Final = 66.0
_HANDLE: Final = 34.0
"""What an entry of the legend is wider than its words."""
_BETWEEN: Final = 4.0


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
    return max([_NARROWEST_LEFT, *(text_width(label) * 1.02 + 8 + GAP for label in labels)])


def own_page(
    title: str,
    left: float,
    height: float,
    legend: Sequence[str] = (),
    bands: tuple[float, float] = (BAND, BAND),
) -> Page:
    """Open a figure around axes ``height`` points tall, and write the title above them.

    ``legend`` holds the words that the legend will have, so that the room for it is kept.
    """
    import matplotlib.pyplot as plt  # noqa: PLC0415 - a server draws on its own axes, without it

    title = wrap(title, WIDTH - 2 * GAP, TITLE, bold=True)
    above, below = margins(title, legend, bands)
    total = above + height + below
    figure = plt.figure(figsize=(WIDTH / 72, total / 72), dpi=DPI)
    width = WIDTH - left - RIGHT
    ax = figure.add_axes((left / WIDTH, below / total, width / WIDTH, height / total))
    return _titled(Page(ax, width, height, left - GAP, bands), title)


def page_on(ax: Axes, title: str, bands: tuple[float, float] = (BAND, BAND)) -> Page:
    """Clear the reader's axes and use them at their size; only the title is fitted to them.

    The words around them are dark, so the figure becomes white, whatever style it was opened with.
    """
    ax.clear()
    ax.set_facecolor("white")
    ax.figure.set_facecolor("white")
    box = ax.get_window_extent()
    scale = 72 / ax.figure.dpi
    width, height = box.width * scale, box.height * scale
    title = wrap(title, width, TITLE, bold=True)
    return _titled(Page(ax, width, height, 0, bands), title)


def margins(
    title: str, legend: Sequence[str] = (), bands: tuple[float, float] = (BAND, BAND)
) -> tuple[float, float]:
    """Return the room above and below the axes for title, tick labels and legend."""
    lines = title.count("\n") + 1
    above = GAP + lines * TITLE * LINE + GAP + bands[0]
    rows = legend_rows(legend, WIDTH - 2 * GAP)
    return above, bands[1] + GAP + rows * (TEXT * LINE + _BETWEEN) + GAP * bool(rows)


def legend_rows(words: Sequence[str], width: float) -> int:
    """Return how many rows a legend needs where it may be ``width`` points wide."""
    return -int(-sum(text_width(entry) + _HANDLE for entry in words) // width)


def draw_empty(page: Page) -> Axes:
    """Say that there is nothing to draw, where there is not even a time."""
    page.ax.set_axis_off()
    say_empty(page)
    return page.ax


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
    if not artists:
        return
    words = [str(artist.get_label()) for artist in artists]
    rows = max(1, legend_rows(words, page.width + page.left))
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


def _enlarge(handle: Any, size: float) -> None:
    """Show a mark in the legend as large as it is where there is room for it."""
    if handle is not None and hasattr(handle, "get_markersize") and handle.get_markersize() < size:
        handle.set_markersize(size)
