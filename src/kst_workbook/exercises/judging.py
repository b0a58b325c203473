"""What the judges share: run an answer, compare what it does with what it should do."""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from apscheduler.triggers.base import BaseTrigger

from kst_scheduler.fire_times import fire_times
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.holidays import BusinessDays
from kst_workbook.exercises.exercise import NotYetError, Picture
from kst_workbook.exercises.host_zone import ELSEWHERE, as_on_host, takes_zone_of_host
from kst_workbook.exercises.lasting import refuse_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from kst_scheduler.simulation import SimulationResult

MONDAY: Final = kst(2026, 5, 4)
YEAR: Final = (kst(2026, 1, 1), kst(2027, 1, 1))
YEARS: Final = (2026, 2027, 2028)
"""The last one is a leap year."""
MANY: Final = 1000
"""So many values of an answer are looked at, more than any exercise expects."""


def require_trigger(answer: Any, variable: str) -> BaseTrigger:
    """Return the answer if it is a trigger, as the same code makes it on a host in New York.

    Raises:
        NotYetError: it is something else, ends, or fires at other moments on another host.

    """
    if isinstance(answer, type) and issubclass(answer, BaseTrigger):
        raise NotYetError(f"`{variable}` is the class `{answer.__name__}`. Make a trigger of it.")
    if not isinstance(answer, BaseTrigger):
        raise NotYetError(f"`{variable}` is {shown(answer)}. Expected a trigger.")
    refuse_end(answer, f"`{variable}`")
    if takes_zone_of_host(answer):
        _refuse_other_moments_elsewhere(answer, variable)
    return as_on_host(answer)


def _refuse_other_moments_elsewhere(trigger: BaseTrigger, variable: str) -> None:
    fires = {
        zone: as_on_host(trigger, zone).get_next_fire_time(None, MONDAY)
        for zone in ("UTC", ELSEWHERE)
    }
    if len(set(fires.values())) > 1:
        words = " and ".join(
            f"{fire.astimezone(KST):%a %H:%M} KST on one in {zone}"
            for zone, fire in fires.items()
            if fire
        )
        raise NotYetError(
            f"`{variable}` names no zone, so it takes that of its host. From Monday, 4 May on it "
            f"fires first at {words}."
        )


def require_function(answer: Any, variable: str, *arguments: str) -> Callable[..., Any]:
    """Return the answer if it can be called, with the arguments that are named here, if any are.

    Raises:
        NotYetError: it is something else, or has other parameters.

    """
    built_in = isinstance(answer, type) and answer.__module__ == "builtins"
    if built_in or not callable(answer):
        raise NotYetError(f"`{variable}` is {shown(answer)}. Expected a function.")
    try:
        if arguments:
            inspect.signature(answer).bind(*arguments)
    except TypeError as error:
        raise NotYetError(
            f"`{variable}` is called as `{variable}({', '.join(arguments)})`, and yours cannot "
            f"be: {error}."
        ) from error
    return answer  # type: ignore[no-any-return]


def values_of(answer: Any) -> list[Any] | None:
    """Return what a list, a generator, an array, a Series or another iterable holds.

    None: it is one value, a text, or a dict.
    """
    if isinstance(answer, pd.DataFrame) and answer.shape[1] == 1:
        answer = answer.iloc[:, 0]
    single = isinstance(answer, str | bytes | type | Mapping | pd.DataFrame)
    if single or not isinstance(answer, Iterable) or getattr(answer, "ndim", 1) == 0:
        return None
    return list(itertools.islice(answer, MANY))


def mapping_of(answer: Any) -> dict[Any, Any] | None:
    """Return a dict of a dict, any other mapping, or a Series; None: it is something else."""
    if isinstance(answer, pd.Series):
        return dict(answer.to_dict())
    return dict(answer) if isinstance(answer, Mapping) else None


def number_of(answer: Any) -> float | None:
    """Return a number of seconds, from any kind of number or a timedelta; None: it is none."""
    if isinstance(answer, timedelta):
        return answer.total_seconds()
    if isinstance(answer, bool) or not isinstance(answer, Real | Decimal):
        return None
    return float(answer)


def require_moment(value: Any, place: str) -> pd.Timestamp:
    """Return an aware datetime, or pandas Timestamp, of the answer on Korean time.

    Raises:
        NotYetError: it is something else; ``place`` says where it stands, as in "Your list".

    """
    if not isinstance(value, datetime):
        raise NotYetError(f"{place} has {shown(value)}. Expected a moment, such as `kst(...)`.")
    if value.tzinfo is None or value.utcoffset() is None:
        raise NotYetError(f"{place} has `{value}`, which is in no zone. `kst(...)` says the zone.")
    return pd.Timestamp(value).tz_convert(KST)


def require_time(value: Any, place: str) -> str:
    """Return a time of the day as 03:20, of such a string, a time, or an aware datetime.

    Raises:
        NotYetError: it is something else; ``place`` says where it stands, as in "`crawl`".

    """
    if isinstance(value, datetime):
        return _clock(require_moment(value, place).time())
    if isinstance(value, time):
        return _clock(value)
    for form in ("%H:%M", "%H:%M:%S"):
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            return _clock(datetime.strptime(value.strip(), form).time())  # noqa: DTZ007 - a time alone
    raise NotYetError(f"{place} has {shown(value)}. Write a time such as 03:05, in quotes.")


def _clock(at: time) -> str:
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"


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
    """Return pictures of both triggers' fires when they are the same in the span.

    Raises:
        NotYetError: they differ; the message names the first fire that is missing or too many.

    """
    mine, theirs = fire_times(trigger, start, end), fire_times(expected, start, end)
    drawn = fires_pictures(mine, theirs, start, end)
    extra, missing = mine.difference(theirs), theirs.difference(mine)
    if len(extra) == len(missing) == 0 and len(mine) == len(theirs):
        return drawn
    words = f"Your trigger fires {len(mine):,} times from {moment(start)} to {moment(end)} KST"
    if len(extra):
        words += f"; it should not fire at {moment(extra.tz_convert(start.tzinfo)[0])}"
    if len(missing):
        words += f"; {len(missing):,} fire{' is' if len(missing) == 1 else 's are'} missing"
    raise NotYetError(f"{words}.", drawn)


def year_picture(fires: pd.DatetimeIndex, year: int) -> Picture:
    """Draw the days of a year on which something fires, with the Korean days off."""

    def draw() -> Axes:
        from kst_scheduler.timeline import plot_year  # noqa: PLC0415 - only when it is shown

        return plot_year(fires, year, calendar=BusinessDays())

    return partial(png, draw)


def compare_years(trigger: BaseTrigger, expected: BaseTrigger) -> None:
    """Refuse a trigger that is right in one week, and not in another of three years.

    Raises:
        NotYetError: with the days around the first fire that is missing or too many.

    """
    for year in YEARS:
        span = kst(year, 1, 1), kst(year + 1, 1, 1)
        mine, theirs = (fire_times(each, *span).tz_convert(KST) for each in (trigger, expected))
        if len(wrong := mine.symmetric_difference(theirs)):
            start = wrong[0].normalize() - timedelta(days=3)
            try:
                compare_fires(trigger, expected, start, start + timedelta(days=7))
            except NotYetError as error:
                raise NotYetError(
                    f"The week from 4 May 2026 is right, and one of {year} is not. {error}",
                    error.pictures,
                ) from error


def fires_pictures(
    mine: pd.DatetimeIndex, expected: pd.DatetimeIndex, start: datetime, end: datetime
) -> tuple[Picture, ...]:
    """Draw the answer's fires, and the expected ones."""

    def draw(name: str, fires: pd.DatetimeIndex) -> Axes:
        from kst_scheduler.timeline import plot_fire_times  # noqa: PLC0415 - only when it is shown

        return plot_fire_times({name: fires}, start, end)

    lanes = ("your answer", mine), ("expected", expected)
    return tuple(partial(png, partial(draw, *lane)) for lane in lanes)


def pictures(
    mine: SimulationResult | pd.DataFrame,
    expected: SimulationResult | pd.DataFrame,
    /,
    **options: Any,
) -> tuple[Picture, ...]:
    """Draw what the answer does, and beneath it what it should do; options as plot_timeline's.

    The times that ``expected=`` marks are in the second picture only.
    """
    own = {name: value for name, value in options.items() if name != "expected"}

    def draw(runs: SimulationResult | pd.DataFrame, options: dict[str, Any]) -> Axes:
        from kst_scheduler.timeline import plot_timeline  # noqa: PLC0415 - only when it is shown

        return plot_timeline(runs, **options)

    both = (mine, own), (expected, options)
    return tuple(partial(png, partial(draw, *each)) for each in both)


def png(draw: Callable[[], Axes]) -> bytes:
    """Return what ``draw`` draws as a PNG file, and keep the notebook from showing it again."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 - only when it is shown

    figure = draw().figure.get_figure(root=True)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
    return file.getvalue()
