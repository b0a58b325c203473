"""How late runs started, over time, compared with their grace time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kst_scheduler.runs.table import STATUSES
from kst_scheduler.timeline.hover import areas_of_runs, tell
from kst_scheduler.timeline.kst_axis import draw_time_axis
from kst_scheduler.timeline.marks import one_a_dot
from kst_scheduler.timeline.page import (
    Page,
    draw_empty,
    draw_legend,
    finished,
    left_margin,
    own_page,
    page_on,
)
from kst_scheduler.timeline.scene import gather_scene
from kst_scheduler.timeline.style import (
    DOWN,
    DOWN_MARK,
    FAINT,
    OUTCOME_MARKS,
    VERMILLION,
    house_style,
)
from kst_scheduler.timeline.words import count, duration, short

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from kst_scheduler.timeline.scene import Scene

_HEIGHT: Final = 190.0
_DAY: Final = 86_400
_TICKS: Final = (0, 60, 3_600, _DAY, 10, 600, 1, 21_600, 7 * _DAY, 30 * _DAY, 365 * _DAY)
"""Round heights in seconds, the roundest first."""
_EDGE: Final = 0.07
"""Free room below and above all marks, as a share of the scale."""
_NEVER: Final = "not started"
_NOT_STARTED: Final = {"missed": "missed", DOWN: DOWN_MARK.words}
_MISSED: Final = STATUSES.index("missed")
_FULL: Final = 7.0
_SMALL: Final = 3.5
_MANY: Final = 400
_APART: Final = 13.0
"""Points between two labels of the axis, at the least."""


def plot_lateness(
    result_or_runs: Any,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    grace: Mapping[str, timedelta | None] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how long after its scheduled time each run started, with the grace time as a line.

    The scale is logarithmic beyond a second, so that both seconds and hours can be read. Runs below
    zero started early, because a clock was ahead. Missed runs are at the top, as "not started".
    Other runs that did not start are left out.

    Args:
        result_or_runs: the result of ``simulate(...)``, or a bare table of runs.
        start: the first moment to show; None: that of the result, or the first time in the table.
        end: the last moment to show; None: likewise.
        grace: the misfire_grace_time of each job; None: those of the result.
        title: replaces the automatic one.
        ax: axes to clear and draw on; they shrink to make room for the labels. None: a new figure.

    Raises:
        InvalidArgumentError: a column is missing, a status is unknown, or the end is not after
            the start.
        NaiveDatetimeError: a time has no zone.

    """
    scene = gather_scene(result_or_runs, start=start, end=end, grace=grace)
    with house_style():
        return _draw(scene, _title(scene) if title is None else title, ax)


def _late(scene: Scene) -> NDArray[np.float64]:
    """Return the lateness of each row in seconds, NaN if it never started."""
    # A day as a float is exact to a third of a microsecond; what is left of that is no lateness.
    return np.round((scene.rows.started - scene.rows.scheduled) * _DAY, 5)


def _title(scene: Scene) -> str:
    late = _late(scene)
    counts = scene.counts()
    said = [f"{counts[name]:,} {words}" for name, words in _NOT_STARTED.items() if name in counts]
    never = ", ".join(said)
    started = int(np.count_nonzero(~np.isnan(late)))
    if not started:
        return f"no run started, {never}" if never else "no runs"
    prompt = int(np.count_nonzero(np.abs(late) <= 1))
    whole = "all " if started > 1 else ""
    title = f"{whole if prompt == started else f'{prompt:,} of '}{count(started, 'run')}"
    title += " started within a second"
    for name, row, way in (
        ("latest", int(np.nanargmax(late)), "late"),
        ("earliest", int(np.nanargmin(late)), "early"),
    ):
        if late[row] * (1 if way == "late" else -1) > 1:
            node = f" on {short(scene.nodes[scene.rows.node[row]])}" if len(scene.nodes) > 1 else ""
            title += f", the {name} {duration(abs(float(late[row])))} {way}{node}"
    return f"{title}; {never}" if never else title


def _draw(scene: Scene, title: str, ax: Axes | None) -> Axes:
    late = _late(scene)
    limits = _limits(scene)
    missed = scene.rows.status == _MISSED
    ticks = _ticks(late, limits, _HEIGHT, never=bool(missed.any()))
    left = left_margin([label for _, label in ticks])
    words = [OUTCOME_MARKS[code].words for code in _shown(scene, late)]
    if ax is None:
        page = own_page(title, left, _HEIGHT, words)
    else:
        page = page_on(ax, title, left, words)
        ticks = _ticks(late, limits, page.height, never=bool(missed.any()))
    if scene.start is None or scene.end is None:
        return draw_empty(page)
    _draw_scale(page, ticks, min(0.0, np.nanmin(np.append(late, 0.0))))
    draw_time_axis(page, scene.start, scene.end, events=scene.due())
    for seconds in limits:
        page.ax.axhline(seconds, color=VERMILLION, ls=(0, (6, 3)), lw=1.2, zorder=2)
    y = np.where(missed, ticks[-1][0], late)
    lines = [_draw_status(page, scene, y, code) for code in _shown(scene, late)]
    draw_legend(page, lines, _FULL)
    rows, names, x = scene.rows, (scene.nodes, scene.jobs), scene.rows.scheduled
    tell(page.ax, lambda: areas_of_runs(rows, names, x, x, y, 0.6 * _FULL))
    return finished(page)


def _shown(scene: Scene, late: NDArray[np.float64]) -> list[int]:
    """Return the outcomes of what started, and of what was missed."""
    seen = ~np.isnan(late) | (scene.rows.status == _MISSED)
    return [int(code) for code in np.unique(scene.rows.outcome[seen])]


def _draw_status(page: Page, scene: Scene, y: NDArray[np.float64], code: int) -> Line2D:
    chosen = np.flatnonzero((scene.rows.outcome == code) & ~np.isnan(y))
    x, height = scene.rows.scheduled[chosen], y[chosen]
    first, last = page.ax.get_xlim()
    if len(chosen) > _MANY:
        row = np.floor(_scale(height) * 40).astype(np.intp)
        kept = one_a_dot((x - first) / (last - first) * page.width, row - row.min())
        x, height = x[kept], height[kept]
    mark = OUTCOME_MARKS[code]
    look = mark.line(_FULL) if len(chosen) <= _MANY else mark.small(_SMALL)
    (line,) = page.ax.plot(x, height, label=mark.words, **look)
    return line


def _limits(scene: Scene) -> dict[float, list[str]]:
    """Return each grace time in seconds, from the shortest, with the jobs that have it."""
    found: dict[float, list[str]] = {}
    for job_id, limit in scene.grace.items():
        if limit is not None and (job_id in scene.jobs or not scene.jobs):
            found.setdefault(limit.total_seconds(), []).append(short(job_id))
    return dict(sorted(found.items()))


def _limit_labels(limits: Mapping[float, list[str]], apart: float) -> dict[float, str]:
    """Return where grace times are named, and how; those that would touch share one label."""
    groups = [[seconds] for seconds in limits]
    while True:
        middles = [(_scale(group[0]) + _scale(group[-1])) / 2 for group in groups]
        near = np.flatnonzero(np.diff(middles) < apart)
        if not len(near):
            break
        first = int(near[0])
        groups[first : first + 2] = [groups[first] + groups[first + 1]]
    return {
        group[0] if len(group) == 1 else float(_unscale(middle)): _limit_words(group, limits)
        for middle, group in zip(middles, groups, strict=True)
    }


def _limit_words(group: list[float], limits: Mapping[float, list[str]]) -> str:
    shortest, longest = duration(group[0]), duration(group[-1])
    words = f"grace {shortest}" if shortest == longest else f"grace {shortest} to {longest}"
    jobs = [job for seconds in group for job in limits[seconds]]
    if len(group) == len(limits):
        return words
    return f"{words}, {jobs[0] if len(jobs) == 1 else count(len(jobs), 'job')}"


def _ticks(
    late: NDArray[np.float64], limits: Mapping[float, list[str]], height: float, *, never: bool
) -> list[tuple[float, str]]:
    """Return the heights of the axis and their words, from the lowest to the highest.

    The grace times come first, then zero and the ends, so that what is the latest is read between
    two of them, then what is rounder; the rest is left out where it would touch them on an axis
    ``height`` points tall.
    """
    high = max([1.0, *limits, float(np.nanmax(np.append(late, 0)))])
    low = min(0.0, float(np.nanmin(np.append(late, 0))))
    top = float(_unscale(_scale(high) + 0.16 * (_scale(high) - _scale(low)) + 0.1))
    apart = _APART / height * (_scale(top) - _scale(low)) * (1 + 2 * _EDGE)
    ticks = _limit_labels(limits, apart)
    inside = [sign * tick for tick in _TICKS for sign in (1, -1) if low <= sign * tick <= high]
    for tick in dict.fromkeys([0, max(inside), min(inside), *inside]):
        if all(abs(_scale(tick) - _scale(other)) > apart for other in ticks):
            ticks[tick] = _tick_words(tick)
    return [*sorted(ticks.items()), (top, _NEVER if never else "")]


def _tick_words(seconds: float) -> str:
    if seconds == 0:
        return "on time"
    return duration(seconds) if seconds > 0 else f"{duration(-seconds)} early"


def _draw_scale(page: Page, ticks: list[tuple[float, str]], lowest: float) -> None:
    page.ax.set_yscale("function", functions=(_scale, _unscale))
    low, high = _scale(lowest), _scale(ticks[-1][0])
    edge = _EDGE * (high - low)
    page.ax.set_ylim(_unscale(low - edge), _unscale(high + (edge if ticks[-1][1] else 0)))
    named = [tick for tick in ticks if tick[1]]
    page.ax.set_yticks([height for height, _ in named], labels=[words for _, words in named])
    page.ax.minorticks_off()
    page.ax.tick_params(axis="y", length=0, pad=8)
    page.ax.grid(axis="y", color=FAINT, lw=0.8)


def _scale(seconds: Any) -> Any:
    """Return the height of a lateness: straight near zero, logarithmic beyond a second."""
    return np.sign(seconds) * np.log10(1 + np.abs(seconds))


def _unscale(height: Any) -> Any:
    return np.sign(height) * (10 ** np.abs(height) - 1)
