"""What a mark tells when the pointer rests on it: areas of a picture, and their words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from kst_scheduler.runs.table import STATUSES
from kst_scheduler.timeline.style import OUTCOME_MARKS
from kst_scheduler.timeline.words import Clock, duration
from kst_scheduler.timezone import KST, UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from kst_scheduler.timeline.scene import Rows

MAX_AREAS: Final = 250
"""More would make a picture heavy; what went wrong keeps its area."""
_MAX_TOLD: Final = 4
"""Runs that one area tells of; the others are counted."""
_MAX_DETAIL: Final = 300
_DAY: Final = 86_400


class Area(NamedTuple):
    """Words for a rectangle, in the data of the axes.

    ``half`` is how far it reaches beyond that on each side, in points: a mark has no width.
    """

    begin: float
    end: float
    top: float
    bottom: float
    half: float
    words: str


_AREAS: Final[WeakKeyDictionary[Axes, Callable[[], list[Area]]]] = WeakKeyDictionary()


def tell(ax: Axes, areas: Callable[[], list[Area]]) -> None:
    """Keep what makes the areas of these axes, until they are drawn on again.

    ``areas`` must not refer to the axes, which would never be released then.
    """
    _AREAS[ax] = areas


def forget(ax: Axes) -> None:
    """Drop the areas of axes that are cleared."""
    _AREAS.pop(ax, None)


def areas_of(ax: Axes) -> list[Area]:
    """Return the areas of the picture on these axes; what lies later lies on top."""
    make = _AREAS.get(ax)
    return make() if make else []


def areas_of_runs(
    rows: Rows,
    names: tuple[list[str], list[str]],
    begin: NDArray[np.float64],
    end: NDArray[np.float64],
    y: NDArray[np.float64],
    half: float,
) -> list[Area]:
    """Return an area for each run, from where its mark is to where its bar ends.

    Args:
        rows: the runs.
        names: those of the nodes and of the jobs.
        begin: where each mark is; NaN: there is none.
        end: where each bar ends.
        y: the height of each mark.
        half: half the size of a mark, in points.

    """
    news = ~np.isin(rows.status, [STATUSES.index("ok"), STATUSES.index("locked_out")])
    seen = np.flatnonzero(~np.isnan(begin + y))
    chosen = seen[np.argsort(~news[seen], kind="stable")][:MAX_AREAS]
    return [
        Area(begin[row], end[row], y[row], y[row], half, _run_words(rows, row, names))
        for row in chosen[np.argsort(begin[chosen], kind="stable")]
    ]


def areas_of_fires(
    fires: Mapping[str, pd.DatetimeIndex],
    places: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    half: float,
) -> list[Area]:
    """Return an area for each fire of each trigger, as far as there are not too many.

    ``places`` are x and y of the fires of each, ``half`` is half the size of a mark in points.
    """
    each = MAX_AREAS // max(1, len(fires))
    return [
        Area(at, at, y, y, half, f"{name}\n{when(moment)} KST\n{when(moment, UTC)} UTC")
        for (name, moments), (x, heights) in zip(fires.items(), places, strict=True)
        for moment, at, y in zip(moments[:each], x.tolist(), heights.tolist(), strict=False)
    ]


def gathered(areas: list[tuple[tuple[float, float, float, float], Area]]) -> list[Any]:
    """Join the areas that begin at the same place: ((x, y, width, height), words) of each."""
    found: dict[tuple[int, int, int], tuple[tuple[float, float, float, float], list[str]]] = {}
    for box, area in areas:
        x, y, width, height = box
        spot = (round(x / max(1, area.half)), round(y), round(height))
        if spot in found:
            (x, y, wide, height), told = found.pop(spot)
            found[spot] = (x, y, max(wide, width), height), [*told, area.words]
        else:
            found[spot] = box, [area.words]
    return [(box, _joined(told)) for box, told in found.values()]


def _joined(told: list[str]) -> str:
    more = len(told) - _MAX_TOLD
    return "\n\n".join(told[:_MAX_TOLD] + ([f"and {more:,} more here"] if more > 0 else []))


def _run_words(rows: Rows, row: np.intp, names: tuple[list[str], list[str]]) -> str:
    node, job = names[0][rows.node[row]], names[1][rows.job[row]]
    status = OUTCOME_MARKS[rows.outcome[row]].words
    detail = "" if rows.down[row] else str(rows.detail[row] or "")
    detail = detail if len(detail) <= _MAX_DETAIL else f"{detail[:_MAX_DETAIL]}…"
    who = " on ".join(filter(None, (str(job), str(node))))
    due, started, ended = rows.scheduled[row], rows.started[row], rows.finished[row]
    lines = [who, f"{status}: {detail}" if detail else status, f"scheduled {when(_moment(due))}"]
    if np.isnan(started):
        return "\n".join([*filter(None, lines), "never started"])
    late = round(float(started - due) * _DAY, 3)
    apart = "" if not late else f", {duration(abs(late))} {'late' if late > 0 else 'early'}"
    lines.append(f"started {when(_moment(started))}{apart}")
    if np.isnan(ended) or rows.status[row] == STATUSES.index("running"):
        lines.append("no end is known")
    else:
        lasted = round(float(ended - started) * _DAY, 3)
        lines.append(f"ended {when(_moment(ended))}, after {duration(lasted)}")
    return "\n".join(filter(None, lines))


def _moment(at: float) -> pd.Timestamp:
    """Return matplotlib's days as a time, to the microsecond, which they hold today."""
    return pd.Timestamp(round(at * _DAY * 1e6), unit="us", tz=UTC)


def when(moment: pd.Timestamp, zone: Any = KST) -> str:
    """Write a time with its date."""
    there = moment.tz_convert(zone)
    return Clock(dated=True, digits=3 if there.microsecond else 0)(there)
