"""What the judges share: run an answer, compare what it does with what it should do."""

from __future__ import annotations

import inspect
import io
from datetime import datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
from apscheduler.triggers.base import BaseTrigger

from kst_scheduler.fire_times import fire_times
from kst_scheduler.holidays import BusinessDays
from kst_scheduler.timezone import KST
from kst_scheduler.workbook.exercises.exercise import NotYetError, Picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from kst_scheduler.simulation import SimulationResult


def require_trigger(answer: Any, variable: str) -> BaseTrigger:
    """Return the answer if it is a trigger.

    Raises:
        NotYetError: it is something else.

    """
    if isinstance(answer, type) and issubclass(answer, BaseTrigger):
        raise NotYetError(f"`{variable}` is the class `{answer.__name__}`. Make a trigger of it.")
    if not isinstance(answer, BaseTrigger):
        raise NotYetError(f"`{variable}` is {shown(answer)}. A trigger is asked for.")
    return answer


def require_function(answer: Any, variable: str, *arguments: str) -> Callable[..., Any]:
    """Return the answer if it can be called, with the arguments that are named here, if any are.

    Raises:
        NotYetError: it is something else, or has other parameters.

    """
    if isinstance(answer, type) or not callable(answer):
        raise NotYetError(f"`{variable}` is {shown(answer)}. A function is asked for.")
    try:
        if arguments:
            inspect.signature(answer).bind(*arguments)
    except TypeError as error:
        raise NotYetError(
            f"`{variable}` is called as `{variable}({', '.join(arguments)})`, and yours cannot "
            f"be: {error}."
        ) from error
    return answer  # type: ignore[no-any-return]


def require_moment(value: Any, place: str) -> pd.Timestamp:
    """Return an aware datetime, or pandas Timestamp, of the answer on Korean time.

    Raises:
        NotYetError: it is something else; ``place`` says where it stands, as in "Your list".

    """
    if not isinstance(value, datetime):
        raise NotYetError(f"{place} has {shown(value)}. A moment is asked for, as `kst(...)` is.")
    if value.tzinfo is None or value.utcoffset() is None:
        raise NotYetError(f"{place} has `{value}`, which is in no zone. `kst(...)` says the zone.")
    return pd.Timestamp(value).tz_convert(KST)


def require_time(value: Any, place: str) -> str:
    """Return a time of the day as 03:20, of such a string, a time, or an aware datetime.

    Raises:
        NotYetError: it is something else; ``place`` says where it stands, as in "`crawl`".

    """
    if isinstance(value, datetime):
        return f"{require_moment(value, place):%H:%M}"
    if isinstance(value, time):
        return f"{value:%H:%M}"
    try:
        return f"{datetime.strptime(value.strip(), '%H:%M'):%H:%M}"  # noqa: DTZ007 - a time alone
    except (AttributeError, TypeError, ValueError):
        words = f"{place} has {shown(value)}. Write a time such as 03:05, in quotes."
        raise NotYetError(words) from None


def shown(value: Any) -> str:
    """Return a value and its type in words, short enough for a sentence."""
    words = repr(value)
    if len(words) > 60:  # noqa: PLR2004 - about half a line
        words = words[:57] + "..."
    article = "an" if type(value).__name__[0].lower() in "aeiou" else "a"
    return f"`{words}`, {article} {type(value).__name__}"


def moment(at: datetime) -> str:
    """Return a moment as messages say it: Sun 10 May 03:00."""
    seconds = f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
    return f"{at:%a} {at.day} {at:%b} {seconds}"


def compare_fires(
    trigger: BaseTrigger, expected: BaseTrigger, start: datetime, end: datetime
) -> tuple[Picture, ...]:
    """Return a picture of both triggers' fires when they are the same in the span.

    Raises:
        NotYetError: they differ; the message names the first fire that is missing or too many.

    """
    mine, theirs = fire_times(trigger, start, end), fire_times(expected, start, end)
    picture = (fires_picture(mine, theirs, start, end),)
    extra, missing = mine.difference(theirs), theirs.difference(mine)
    if len(extra) == len(missing) == 0 and len(mine) == len(theirs):
        return picture
    words = f"Your trigger fires {len(mine):,} times from {moment(start)} to {moment(end)} KST"
    if len(extra):
        words += f"; one that is not asked for is {moment(extra.tz_convert(start.tzinfo)[0])}"
    if len(missing):
        words += f"; {len(missing):,} that are asked for are missing"
    raise NotYetError(f"{words}.", picture)


def year_picture(fires: pd.DatetimeIndex, year: int) -> Picture:
    """Draw the days of a year on which something fires, with the Korean days off."""

    def draw() -> Axes:
        from kst_scheduler.timeline import plot_year  # noqa: PLC0415 - only when it is shown

        return plot_year(fires, year, calendar=BusinessDays())

    return partial(png, draw)


def fires_picture(
    mine: pd.DatetimeIndex, expected: pd.DatetimeIndex, start: datetime, end: datetime
) -> Picture:
    """Draw the answer's fires above the expected ones."""

    def draw() -> Axes:
        from kst_scheduler.timeline import plot_fire_times  # noqa: PLC0415 - only when it is shown

        return plot_fire_times({"your answer": mine, "expected": expected}, start, end)

    return partial(png, draw)


def pictures(
    mine: SimulationResult | pd.DataFrame,
    expected: SimulationResult | pd.DataFrame,
    /,
    **options: Any,
) -> tuple[Picture, ...]:
    """Draw what the answer does, and beneath it what it should do; options as plot_timeline's."""

    def draw(runs: SimulationResult | pd.DataFrame) -> Axes:
        from kst_scheduler.timeline import plot_timeline  # noqa: PLC0415 - only when it is shown

        return plot_timeline(runs, **options)

    return tuple(partial(png, partial(draw, each)) for each in (mine, expected))


def png(draw: Callable[[], Axes]) -> bytes:
    """Return what ``draw`` draws as a PNG file, and keep the notebook from showing it again."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 - only when it is shown

    figure = draw().figure.get_figure(root=True)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
    return file.getvalue()
