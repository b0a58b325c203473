"""A year as a calendar: how often something fires on each day, weeks across, weekdays down."""

from __future__ import annotations

from calendar import SATURDAY
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap, to_hex
from matplotlib.patches import Patch, Rectangle

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timeline.fires_picture import fires
from kst_scheduler.timeline.hover import Area, tell
from kst_scheduler.timeline.lanes import label_step
from kst_scheduler.timeline.page import (
    RIGHT,
    WIDTH,
    Page,
    draw_legend,
    finished,
    left_margin,
    own_page,
    page_on,
)
from kst_scheduler.timeline.style import (
    BLACK,
    BLUE,
    LINE,
    QUIET,
    TEXT,
    house_style,
    text_width,
    tint,
)
from kst_scheduler.timeline.words import count
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from datetime import date

    from apscheduler.triggers.base import BaseTrigger
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NONE: Final = "#EDEDED"
_SHADES: Final = 5
_BANDS: Final = (TEXT * LINE + 4, 4.0)


class Calendar(Protocol):
    """Whatever knows business days, such as ``kst_scheduler.BusinessDays``."""

    def is_business_day(self, day: date, /) -> bool:
        """Say whether ``day`` is worked."""
        ...


def plot_year(
    times_or_trigger: pd.DatetimeIndex | BaseTrigger,
    year: int,
    *,
    calendar: Calendar | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often a trigger fires on each day of a year, by the Korean date.

    Args:
        times_or_trigger: a trigger, or its fire times (those of other years are left out).
        year: the year of the Gregorian calendar.
        calendar: outlines the holidays from Monday to Friday, and the title says what fires then.
        title: replaces the automatic one.
        ax: axes to clear and draw on; they shrink to make room for the labels. None: a new figure.

    Raises:
        InvalidArgumentError: the year is not one from 1900 to 2200, or the first argument is
            neither a trigger nor an index.
        NaiveDatetimeError: the times have no zone.

    """
    if not isinstance(year, int) or not 1900 <= year <= 2200:  # noqa: PLR2004
        raise InvalidArgumentError(f"year={year!r} is not a year from 1900 to 2200; write 2026")
    start = pd.Timestamp(year=year, month=1, day=1, tz=KST)
    end = pd.Timestamp(year=year + 1, month=1, day=1, tz=KST)
    fires_a_day = _count_days(fires(times_or_trigger, "times_or_trigger", start, end), start, end)
    holidays = _holidays(start, end, calendar)
    if title is None:
        title = _title(year, fires_a_day, holidays if calendar is not None else None)
    with house_style():
        return _draw(start, fires_a_day, holidays, title, ax)


def _count_days(
    moments: pd.DatetimeIndex, start: pd.Timestamp, end: pd.Timestamp
) -> NDArray[np.intp]:
    """Return the number of fires on each day of the year."""
    days = np.asarray(moments.day_of_year, np.intp) - 1
    return np.bincount(days, minlength=(end - start).days)


def _holidays(
    start: pd.Timestamp, end: pd.Timestamp, calendar: Calendar | None
) -> NDArray[np.intp]:
    """Return which days from Monday to Friday are not worked, counted from the first of January."""
    if calendar is None:
        return np.array([], np.intp)
    dates = pd.date_range(start, end, freq="D", inclusive="left").date
    free = [day.weekday() < SATURDAY and not calendar.is_business_day(day) for day in dates]
    return np.flatnonzero(free)


def _title(year: int, fires_a_day: NDArray[np.intp], holidays: NDArray[np.intp] | None) -> str:
    days = int(np.count_nonzero(fires_a_day))
    said = f"{year}: {count(int(fires_a_day.sum()), 'fire')} on {count(days, 'day')}"
    if holidays is None or not len(holidays):
        return said
    struck = int(np.count_nonzero(fires_a_day[holidays]))
    return f"{said}, on {struck or 'none'} of {count(len(holidays), 'weekday holiday')}"


def _draw(
    start: pd.Timestamp,
    fires_a_day: NDArray[np.intp],
    holidays: NDArray[np.intp],
    title: str,
    ax: Axes | None,
) -> Axes:
    place = np.arange(len(fires_a_day)) + start.day_of_week
    weeks = int(place[-1]) // 7 + 1
    shades, words = _shades(fires_a_day)
    colours = _colours(len(shades))
    legend: list[Any] = [
        Patch(color=colour, label=word) for colour, word in zip(colours, words, strict=True)
    ]
    if len(holidays):
        legend.append(Patch(facecolor="none", edgecolor=BLACK, linewidth=1.3, label="holiday"))
    page = _page(title, weeks, [str(entry.get_label()) for entry in legend], ax)
    _draw_days(page, fires_a_day, place, shades, colours)
    _draw_months(page, start, place)
    for spot in place[holidays]:
        page.ax.add_patch(_outline(int(spot) // 7, int(spot) % 7))
    _finish(page, weeks)
    draw_legend(page, legend)
    half = page.width / weeks / 2
    told = np.flatnonzero(fires_a_day)
    tell(page.ax, lambda: [_area(start, day, fires_a_day, place, half) for day in told.tolist()])
    return finished(page)


def _area(
    start: pd.Timestamp,
    day: int,
    fires_a_day: NDArray[np.intp],
    place: NDArray[np.intp],
    half: float,
) -> Area:
    """Return what a day on which something fires tells."""
    x, y = int(place[day]) // 7 + 0.5, int(place[day]) % 7 + 0.5
    date = start + pd.Timedelta(days=day)
    words = f"{date:%a} {date.day} {date:%b %Y}: {count(int(fires_a_day[day]), 'fire')}"
    return Area(x, x, y, y, half, words)


def _page(title: str, weeks: int, legend: list[str], ax: Axes | None) -> Page:
    left = left_margin(_WEEKDAYS)
    if ax is not None:
        return page_on(ax, title, left, legend, _BANDS)
    cell = (WIDTH - left - RIGHT) / weeks
    return own_page(title, left, 7 * cell, legend, _BANDS)


def _colours(shades: int) -> list[str]:
    """Return the colour of a day without fires, and of each shade, from light to dark."""
    shares = np.linspace(0.3, 0.9, shades) if shades > 1 else [0.5] * shades
    return [_NONE, *(to_hex(tint(BLUE, float(share))) for share in shares)]


def _draw_days(
    page: Page,
    fires_a_day: NDArray[np.intp],
    place: NDArray[np.intp],
    shades: list[int],
    colours: list[str],
) -> None:
    """Draw a square a day; what lies outside the year is masked."""
    grid = np.full(-(-(int(place[-1]) + 1) // 7) * 7, -1)
    grid[place] = fires_a_day
    page.ax.pcolormesh(
        np.ma.masked_less(grid.reshape(-1, 7).T, 0),
        cmap=ListedColormap(colours),
        norm=BoundaryNorm([-0.5, 0.5, *(shade + 0.5 for shade in shades)], len(colours)),
        edgecolors="white",
        linewidth=1.2,
    )


def _shades(fires_a_day: NDArray[np.intp]) -> tuple[list[int], list[str]]:
    """Return the highest number of fires of each shade, and the words for none and for each."""
    numbers = sorted({int(number) for number in fires_a_day if number})
    if len(numbers) > _SHADES:
        numbers = sorted({int(edge) for edge in np.linspace(0, numbers[-1], _SHADES + 1)[1:]})
        lower = [1, *(number + 1 for number in numbers[:-1])]
        words = [
            f"{low} to {high}" if low < high else f"{high}"
            for low, high in zip(lower, numbers, strict=True)
        ]
    else:
        words = [f"{number:,}" for number in numbers]
    return numbers, ["no fire", *(f"{word} a day" for word in words)]


def _draw_months(page: Page, start: pd.Timestamp, place: NDArray[np.intp]) -> None:
    """Name the months above their first week, and draw a line between them."""
    firsts = pd.date_range(start, periods=12, freq="MS")
    spots = [int(place[first.day_of_year - 1]) for first in firsts]
    # In a narrow picture the months keep their first letters, or nothing.
    month = 4.3 * page.width / (int(place[-1]) // 7 + 1)
    letters = 3 if month > text_width("May ") else 1 if month > text_width("M ") else 0
    for first, spot in zip(firsts, spots, strict=True):
        page.ax.annotate(
            f"{first:%b}"[:letters],
            (spot // 7 + (spot % 7 > 0), 0),
            (0, 4),
            textcoords="offset points",
            annotation_clip=False,
        )
    for spot in spots[1:]:
        week, weekday = divmod(spot, 7)
        page.ax.plot(
            [week, week, week + 1, week + 1], [7, weekday, weekday, 0], color=QUIET, lw=0.9
        )


def _outline(week: int, weekday: int) -> Rectangle:
    return Rectangle(
        (week + 0.1, weekday + 0.1), 0.8, 0.8, facecolor="none", edgecolor=BLACK, linewidth=1.3
    )


def _finish(page: Page, weeks: int) -> None:
    page.ax.set_xlim(0, weeks)
    page.ax.set_ylim(7, 0)
    page.ax.set_xticks([])
    step = label_step(page.height / 7)
    page.ax.set_yticks(np.arange(7)[::step] + 0.5, labels=_WEEKDAYS[::step])
    page.ax.tick_params(axis="y", length=0, pad=6)
    page.ax.spines[:].set_visible(False)
