"""A month as a calendar: the outcome of a job on each day, and the names of holidays."""

from __future__ import annotations

from calendar import day_abbr, monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.runs.fates import FATES, FATES_COLUMNS
from kst_scheduler.timeline.hover import Area, tell
from kst_scheduler.timeline.page import (
    GAP,
    RIGHT,
    WIDE,
    Page,
    draw_legend,
    finished,
    own_page,
    page_on,
)
from kst_scheduler.timeline.style import (
    BLACK,
    BLUE,
    INK,
    LINE,
    ORANGE,
    PURPLE,
    QUIET,
    TEXT,
    VERMILLION,
    YELLOW,
    Mark,
    boxes,
    house_style,
    text_width,
    tint,
)
from kst_scheduler.timeline.words import Clock, duration, fitted, wrap
from kst_scheduler.timezone import KST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

FATE_MARKS: Final = {
    "ok": Mark("o", BLUE, BLUE, 1.0, 3.0, "ok"),
    "late": Mark(">", ORANGE, BLACK, 1.1, 3.0, "late"),
    "duplicated": Mark("D", PURPLE, BLACK, 0.95, 3.0, "more than once"),
    "lost": Mark("X", VERMILLION, BLACK, 1.25, 3.0, "lost"),
    "unwanted": Mark("P", YELLOW, BLACK, 1.2, 3.0, "not asked for"),
}
"""The mark of each fate; unlike a run's marks they stand for the whole of an occurrence."""

_ROW: Final = 54.0
"""Height of a week in points."""
_MARK: Final = 9.0
_SMALL: Final = 7.5
_SPACING: Final = 1.1
_LETTER: Final = 1.165
"""From the top of a tall letter to the bottom of a deep one, in sizes of the font."""
_TOP: Final = 0.09
"""Where the day's number and its holiday begin, as a share of the day's height ..."""
_MIDDLE: Final = 0.64
"""... and where the middle of its fate is."""
_ASIDE: Final = 0.13
"""Where the middle of a mark is that has words beside it, as a share of the day's width."""
_INDENT: Final = 0.23
"""Where its words begin, as a share of the day's width."""
_NUMBER: Final = 16.0
"""Points that a day's number needs across."""
_EMPTY: Final = "#F4F4F4"
_WORST_FIRST: Final = ("lost", "duplicated", "unwanted", "late")
_BANDS: Final = (TEXT * LINE + 6, 2.0)
_LATE: Final = timedelta(minutes=5)
MAX_TOLD: Final = 25
"""Lines that a day tells under the pointer."""


def plot_month(
    fates: pd.DataFrame,
    *,
    holidays: Mapping[date, str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the outcome of a job on each day of a month, by the Korean date of its due time.

    Each day shows its outcome as a mark, a colour and a word. A day with several occurrences shows
    the worst outcome, and how many have it. A day without an occurrence is grey.

    Args:
        fates: what ``kst_scheduler.fates`` returns for one job. The earliest row sets the
            month; rows of other months are left out.
        holidays: names by date, such as ``BusinessDays().holidays(2026)``, written on their days.
        title: replaces the automatic one.
        ax: axes to clear and draw on; they shrink to make room for the labels. None: a new figure.

    Raises:
        InvalidArgumentError: a column is missing, there is no row, or there are several jobs.

    """
    days = _days(fates)
    month = min(days).replace(day=1)
    days = {
        day: rows for day, rows in days.items() if (day.year, day.month) == month.timetuple()[:2]
    }
    with house_style():
        return _draw(month, days, holidays or {}, title or _title(month, days), ax)


def _days(fates: pd.DataFrame) -> dict[date, pd.DataFrame]:
    missing = [name for name in FATES_COLUMNS if name not in fates.columns]
    if missing:
        raise InvalidArgumentError(
            f"a table of fates lacks {', '.join(missing)}; kst_scheduler.fates makes one"
        )
    jobs = list(fates["job_id"].unique())
    if len(jobs) != 1:
        raise InvalidArgumentError(
            f"a calendar shows one job, and this table has {', '.join(map(repr, jobs)) or 'none'}; "
            "write fates[fates['job_id'] == 'nightly-crawl']"
        )
    by_day = fates.groupby(fates["scheduled_at"].dt.tz_convert(KST).dt.date, sort=True)
    return dict(iter(by_day))


def _title(month: date, days: Mapping[date, pd.DataFrame]) -> str:
    counts = pd.concat(days.values())["fate"].value_counts()
    said = [
        f"{counts[fate]:,} {FATE_MARKS[fate].words}" for fate in _WORST_FIRST if counts.get(fate)
    ]
    ok = counts.get("ok", 0)
    said = [*said, f"{ok:,} ok" if ok else "none ok"] if said else [f"all {ok:,} ok"]
    return f"{month:%B %Y}: {', '.join(said)}"


def _draw(
    month: date,
    days: Mapping[date, pd.DataFrame],
    holidays: Mapping[date, str],
    title: str,
    ax: Axes | None,
) -> Axes:
    length = monthrange(month.year, month.month)[1]
    weeks = (month.weekday() + length - 1) // 7 + 1
    seen = [fate for fate in FATES if any((rows["fate"] == fate).any() for rows in days.values())]
    page = _page(title, weeks, [FATE_MARKS[fate].words for fate in seen], ax)
    cell = Cell(page, page.width / 7, page.height / weeks)
    for number in range(length):
        day = month + timedelta(days=number)
        week, weekday = divmod(month.weekday() + number, 7)
        _draw_day(cell, (weekday, week), day, days.get(day), holidays.get(day, ""))
    _finish(cell, weeks)
    handles = [Line2D([], [], label=FATE_MARKS[f].words, **FATE_MARKS[f].line(_MARK)) for f in seen]
    draw_legend(page, handles)
    tell(page.ax, lambda: [_area(month, day, rows) for day, rows in days.items()])
    return finished(page)


def _area(month: date, day: date, rows: pd.DataFrame) -> Area:
    """Return what a day tells: the outcome of each occurrence, and why."""
    week, x = divmod(month.weekday() + day.day - 1, 7)
    told = [f"{day:%a} {day.day} {day:%b %Y}"]
    row: Any
    for row in rows.itertuples(index=False):
        due = Clock()(row.scheduled_at.tz_convert(KST))
        fate = f"due {due}: {FATE_MARKS[str(row.fate)].words}"
        told += [f"{fate}, {row.reason}" if row.reason else fate]
    return Area(x, x + 1, week, week + 1, 0.0, "\n".join(told[:MAX_TOLD]))


def _page(title: str, weeks: int, legend: list[str], ax: Axes | None) -> Page:
    if ax is not None:
        return page_on(ax, title, GAP, legend, _BANDS)
    return own_page(title, RIGHT, weeks * _ROW, legend, _BANDS, WIDE)


@dataclass(frozen=True)
class Cell:
    """The square of a day and what has room in it; lengths are points."""

    page: Page
    width: float
    height: float

    @property
    def mark(self) -> float:
        """The size of its mark."""
        return min(_MARK, self.width / 2, self.height / 2)

    @property
    def mark_beside_words(self) -> float:
        """The size of its mark where words follow; the widest is 1.25 times as wide."""
        return min(self.mark, 2 / 1.25 * (_INDENT - _ASIDE) * self.width - 1)

    @property
    def has_number(self) -> bool:
        """Whether the day's number has room above the mark."""
        above = _MIDDLE * self.height - self.mark / 2
        return self.width >= _NUMBER and _TOP * self.height + _tall(1, TEXT) <= above

    @property
    def after_number(self) -> float:
        """Where the name of a holiday begins."""
        return max(_INDENT * self.width, 0.06 * self.width + text_width("30", bold=True) + 2)

    def words(self, words: str) -> str:
        """Return what stands beside the mark in lines, or nothing where it has no room."""
        width = (0.97 - _INDENT) * self.width
        lines = "\n".join(wrap(line, width) for line in words.split("\n"))
        half = _tall(lines.count("\n") + 1, TEXT) / 2
        below_number = _MIDDLE * self.height - half >= _TOP * self.height + _tall(1, TEXT)
        within = _MIDDLE * self.height + half <= self.height and text_width(lines) <= width
        return lines if within and below_number and self.has_number else ""

    def holiday(self, name: str, words: str) -> str:
        """Return the holiday's name as far as it has room above the words of the day."""
        lines = words.count("\n") + 1
        taken = _tall(lines, TEXT) if words else self.mark
        room = (_MIDDLE - _TOP) * self.height - taken / 2
        fitting = 1 + int((room - _tall(1, _SMALL)) // (_tall(2, _SMALL) - _tall(1, _SMALL)))
        width = (0.98 * self.width - self.after_number) / boxes(name)
        return fitted(name, width, fitting, _SMALL) if self.has_number else ""


def _tall(lines: int, size: float) -> float:
    """Return the height of lines of text in points."""
    return size * _LETTER * (1 + _SPACING * (lines - 1))


def _draw_day(
    cell: Cell, place: tuple[int, int], day: date, rows: pd.DataFrame | None, holiday: str
) -> None:
    (x, y), page = place, cell.page
    fate, said = ("", "") if rows is None else _said(rows)
    words, mark = cell.words(said), FATE_MARKS.get(fate)
    face: Any = tint(mark.face, 0.25) if mark else _EMPTY
    page.ax.add_patch(Rectangle(place, 1, 1, facecolor=face, edgecolor="white", linewidth=2))
    if cell.has_number:
        _write(page, (x + 0.06, y + _TOP), str(day.day), va="top", weight="bold", color=INK)
    if mark:
        aside = _ASIDE if words or not said else 0.5
        middle = _MIDDLE if cell.has_number else 0.5
        size = cell.mark_beside_words if words else cell.mark
        page.ax.plot([x + aside], [y + middle], **mark.line(size))
        _write(page, (x + _INDENT, y + middle), words, va="center", color=INK)
    if holiday:
        name = cell.holiday(_short(holiday), words)
        aside = cell.after_number / cell.width
        _write(page, (x + aside, y + _TOP), name, va="top", size=_SMALL, color=BLACK)


def _write(page: Page, place: tuple[float, float], text: str, **look: Any) -> None:
    if text:
        page.ax.text(*place, text, ha="left", linespacing=_SPACING, **look)


def _said(rows: pd.DataFrame) -> tuple[str, str]:
    """Return the worst fate of a day, and what is written beside its mark."""
    fate = str(rows["fate"].max())
    worst = rows[rows["fate"] == fate]
    if len(rows) > 1:
        return fate, f"{len(worst)} of {len(rows)}"
    row: Any = next(worst.itertuples(index=False))
    words = {"late": "", "duplicated": f"{row.runs} times", "unwanted": "not asked for"}.get(
        fate, fate
    )
    late = row.started_at - row.scheduled_at
    if fate == "late" or (fate == "duplicated" and late > _LATE):
        words += f"\n{duration(_minutes(late))} late"
    return fate, words.strip()


def _minutes(span: timedelta) -> timedelta:
    return timedelta(minutes=round(span / timedelta(minutes=1)))


def _short(holiday: str) -> str:
    return holiday.replace("Alternative holiday for", "Substitute for")


def _finish(cell: Cell, weeks: int) -> None:
    page = cell.page
    page.ax.set_xlim(0, 7)
    page.ax.set_ylim(weeks, 0)
    page.ax.set_yticks([])
    names = list(day_abbr)
    letters = 3 if cell.width > text_width("Wed ") else 1 if cell.width > text_width("M ") else 0
    page.ax.set_xticks(np.arange(7) + 0.5, labels=[name[:letters] for name in names])
    page.ax.xaxis.tick_top()
    page.ax.tick_params(axis="x", length=0, pad=4, labelcolor=QUIET)
    page.ax.spines[:].set_visible(False)
