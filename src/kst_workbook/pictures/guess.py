"""A reader's guess, drawn beside what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from matplotlib.dates import num2date
from matplotlib.transforms import ScaledTranslation

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.timeline.days import day
from kst_scheduler.timeline.style import FAINT, MARKS, QUIET, TEXT, house_style, text_width
from kst_scheduler.timeline.words import short
from kst_scheduler.timezone import KST, require_aware

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes

_WORDS: Final = "your guess"
_ABOVE: Final = 10.0
"""Points between the line of a lane and the guess above it."""
_SIZE: Final = 6.5
_TIMES: Final = ("%H:%M", "%H:%M:%S")
_MOMENTS: Final = ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")


def draw_guess(
    ax: Axes, guess: Mapping[str, Iterable[str | datetime] | Mapping[str | datetime, str]]
) -> Axes:
    """Draw what a reader expects above the lanes of a timeline, as grey marks.

    Args:
        ax: what ``plot_timeline`` has returned.
        guess: the times in KST at which each job will run, or a dict of times and statuses of the
            table of runs. A time is "03:00" or "03:00:30", on each day of the picture, or
            "2026-05-10 03:00", or an aware datetime. A job is named by its id, which means its
            lane on each node, or by the label of one lane.

    Returns:
        The same axes.

    Raises:
        InvalidArgumentError: the picture has no such lane or moment, or there is no such status.

    """
    if not isinstance(guess, Mapping):
        raise InvalidArgumentError(
            f"a guess is a dict, such as {{'crawl': ['03:00']}}, not {guess!r}"
        )
    lanes = [
        (label.get_text(), float(y))
        for label, y in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)
    ]
    marks = [
        (status, at, y)
        for job, runs in guess.items()
        for time, status in _fates(job, runs)
        for at in _moments(ax, time)
        for y in _lanes_of(job, lanes)
    ]
    with house_style():
        for status, at, y in marks:
            _draw_mark(ax, status, at, y)
        if marks:
            _, at, y = min(marks, key=lambda mark: (mark[2], mark[1]))
            _write_words(ax, at, y)
    return ax


def _fates(job: str, runs: Any) -> list[tuple[Any, str]]:
    if isinstance(runs, str):
        raise InvalidArgumentError(f"the guess of {job!r} is one text; write a list: [{runs!r}]")
    if not isinstance(runs, Iterable):
        raise InvalidArgumentError(f"the guess of {job!r} is {runs!r}; write a list: ['03:00']")
    fates = list(runs.items()) if isinstance(runs, Mapping) else [(time, "ok") for time in runs]
    for time, status in fates:
        if not isinstance(status, str) or status not in MARKS:
            known = ", ".join(MARKS)
            raise InvalidArgumentError(f"{job!r}, {time}: {status!r} is no status; use {known}")
    return fates


def _lanes_of(job: str, lanes: list[tuple[str, float]]) -> list[float]:
    found = [y for label, y in lanes if label in {job, short(job)}]
    found = found or [y for label, y in lanes if label.endswith(f"  {short(job)}")]
    if not found:
        names = ", ".join(repr(label) for label, _ in lanes)
        raise InvalidArgumentError(f"the picture has no lane {job!r}; it has {names}")
    return found


def _moments(ax: Axes, time: object) -> list[datetime]:
    """Return the moments of the picture that a reader's time means."""
    first, last = (moment.astimezone(KST) for moment in num2date(ax.get_xlim()))  # type: ignore[no-untyped-call]
    written = _parsed(str(time).strip(), _MOMENTS)
    clock = _parsed(str(time).strip(), _TIMES)
    if isinstance(time, datetime):
        found = [require_aware(time, "a guess")]
    elif written is not None:
        found = [written]
    elif clock is not None:
        days = range((last.date() - first.date()).days + 1)
        dates = [first.date() + timedelta(days=number) for number in days]
        found = [datetime.combine(date, clock.time(), KST) for date in dates]
    else:
        raise InvalidArgumentError(f"{time!r} is no time; write '03:00' or '2026-05-10 03:00'")
    found = [moment for moment in found if first <= moment <= last]
    if not found:
        raise InvalidArgumentError(
            f"the picture has no {time}: it is {first:%F %T} to {last:%F %T}"
        )
    return found


def _parsed(time: str, formats: tuple[str, ...]) -> datetime | None:
    for each in formats:
        try:
            return datetime.strptime(time, each).replace(tzinfo=KST)
        except ValueError:
            continue
    return None


def _draw_mark(ax: Axes, status: str, at: datetime, y: float) -> None:
    mark = MARKS[status]
    look: dict[str, Any] = {"markerfacecolor": FAINT, "markeredgecolor": QUIET}
    ax.plot(
        [day(at)],
        [y],
        **mark.line(_SIZE) | look | {"markeredgewidth": 1.1},
        transform=ax.transData + _up(ax),
        gid="guess",
    )


def _up(ax: Axes) -> ScaledTranslation:
    figure: Any = ax.figure
    return ScaledTranslation(0, _ABOVE / 72, figure.dpi_scale_trans)


def _write_words(ax: Axes, at: datetime, y: float) -> None:
    """Write beside the first mark what it is: to its left, or where that is too narrow, right."""
    left, right = ax.get_xlim()
    points = ax.bbox.width * 72 / ax.figure.get_dpi()
    side = -1 if (day(at) - left) / (right - left) * points > text_width(_WORDS) + _SIZE else 1
    ax.annotate(
        _WORDS,
        (day(at), y),
        (side * _SIZE, _ABOVE),
        textcoords="offset points",
        ha="right" if side < 0 else "left",
        va="center",
        size=TEXT,
        color=QUIET,
    )
