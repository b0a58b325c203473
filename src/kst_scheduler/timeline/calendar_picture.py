"""A month as a calendar: on each day what became of a job, and why a day is a holiday."""

from __future__ import annotations

import calendar as civil
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fates import FATES, FATES_COLUMNS
from kst_scheduler.timeline.page import (
    RIGHT,
    Page,
    draw_legend,
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
    house_style,
    tint,
)
from kst_scheduler.timeline.words import duration, wrap
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
_EMPTY: Final = "#F4F4F4"
_WORST_FIRST: Final = ("lost", "duplicated", "unwanted", "late")
_BANDS: Final = (TEXT * LINE + 6, 2.0)
_LATE: Final = timedelta(minutes=5)


def plot_month(
    fates: pd.DataFrame,
    *,
    holidays: Mapping[date, str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what became of a job on each day of a month, by the Korean date it was meant for.

    Each day has the mark and the tint of its fate, and says it in words; a day with several
    occurrences shows the worst of them and how many share it. A day without any is grey.

    Args:
        fates: what ``kst_scheduler.fates.fates`` returns, of one job; its first row says the month.
        holidays: names by date, as of ``BusinessDays().holidays(2026)``, written on their days.
        title: replaces the automatic one.
        ax: draw here, after clearing it, instead of on a figure of its own.

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
            f"a table of fates lacks {', '.join(missing)}; kst_scheduler.fates.fates makes one"
        )
    jobs = list(fates["job_id"].unique())
    if len(jobs) != 1:
        raise InvalidArgumentError(
            f"a calendar shows one job, and this table has {', '.join(map(repr, jobs)) or 'none'}; "
            "write fates[fates['job_id'] == 'daily-nps-crawl']"
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
    length = civil.monthrange(month.year, month.month)[1]
    weeks = (month.weekday() + length - 1) // 7 + 1
    seen = [fate for fate in FATES if any((rows["fate"] == fate).any() for rows in days.values())]
    page = _page(title, weeks, [FATE_MARKS[fate].words for fate in seen], ax)
    for number in range(length):
        day = month + timedelta(days=number)
        week, weekday = divmod(month.weekday() + number, 7)
        _draw_day(page, (weekday, week), day, days.get(day), holidays.get(day, ""))
    _finish(page, weeks)
    handles = [Line2D([], [], label=FATE_MARKS[f].words, **FATE_MARKS[f].line(_MARK)) for f in seen]
    draw_legend(page, handles)
    return page.ax


def _page(title: str, weeks: int, legend: list[str], ax: Axes | None) -> Page:
    if ax is not None:
        return page_on(ax, title, _BANDS)
    return own_page(title, RIGHT, weeks * _ROW, legend, _BANDS)


def _draw_day(
    page: Page, place: tuple[int, int], day: date, rows: pd.DataFrame | None, holiday: str
) -> None:
    x, y = place
    fate, words = ("", "") if rows is None else _said(rows)
    mark = FATE_MARKS.get(fate)
    face: Any = tint(mark.face, 0.25) if mark else _EMPTY
    page.ax.add_patch(Rectangle(place, 1, 1, facecolor=face, edgecolor="white", linewidth=2))
    _write(page, (x + 0.06, y + 0.09), str(day.day), va="top", weight="bold", color=INK)
    if mark:
        page.ax.plot([x + 0.13], [y + 0.64], **mark.line(_MARK))
        words = "\n".join(wrap(line, 0.74 * page.width / 7) for line in words.split("\n"))
        _write(page, (x + 0.23, y + 0.64), words, va="center", color=INK)
    if holiday:
        name = wrap(_short(holiday), 0.75 * page.width / 7, _SMALL)
        _write(page, (x + 0.23, y + 0.09), name, va="top", size=_SMALL, color=BLACK)


def _write(page: Page, place: tuple[float, float], text: str, **look: Any) -> None:
    page.ax.text(*place, text, ha="left", linespacing=1.1, **look)


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


def _finish(page: Page, weeks: int) -> None:
    page.ax.set_xlim(0, 7)
    page.ax.set_ylim(weeks, 0)
    page.ax.set_yticks([])
    page.ax.set_xticks(np.arange(7) + 0.5, labels=list(civil.day_abbr))
    page.ax.xaxis.tick_top()
    page.ax.tick_params(axis="x", length=0, pad=4, labelcolor=QUIET)
    page.ax.spines[:].set_visible(False)
