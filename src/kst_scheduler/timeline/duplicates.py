"""Occurrences that ran more than once, with an arc between its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from kst_scheduler.runs.table import STATUSES
from kst_scheduler.timeline.lane_words import LaneWords
from kst_scheduler.timeline.style import BLACK, QUIET
from kst_scheduler.timeline.words import short

if TYPE_CHECKING:
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from kst_scheduler.timeline.marks import Field
    from kst_scheduler.timeline.scene import Rows

DUPLICATE_WORDS: Final = "the same occurrence"
_LOCKED_OUT: Final = STATUSES.index("locked_out")
_MAX_ARCS: Final = 200
_MAX_WORDS: Final = 3
_MAX_NAMES: Final = 4
_MAX_BULGE: Final = 16.0
_STEPS: Final = np.linspace(0, 1, 13)


class Duplicates(NamedTuple):
    """Which runs are of the same occurrence (``kst_scheduler.duplicates`` lists the same).

    ``first`` and ``second`` are pairs of rows, each run and the next one of its occurrence;
    ``sizes`` is how often each repeated occurrence ran.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    sizes: NDArray[np.intp]

    def rare(self, rows: Rows) -> NDArray[np.bool_]:
        """Say for each pair whether its job ran twice a few times only, not again and again."""
        jobs = rows.job[self.first]
        rare: NDArray[np.bool_] = np.bincount(jobs, minlength=1)[jobs] <= _MAX_WORDS
        return rare


def find_duplicates(rows: Rows) -> Duplicates:
    """Return the occurrences that ran more than once, over all nodes.

    A run that was locked out began its function and did none of its work.
    """
    started = np.flatnonzero(~np.isnan(rows.started) & (rows.status != _LOCKED_OUT))
    order = started[np.lexsort((rows.node[started], rows.scheduled[started], rows.job[started]))]
    job, due = rows.job[order], rows.scheduled[order]
    same = (np.diff(job) == 0) & (np.diff(due) == 0)
    begins = np.flatnonzero(np.r_[np.ones(min(1, len(order)), bool), ~same])
    sizes = np.diff(np.r_[begins, len(order)])
    return Duplicates(order[:-1][same], order[1:][same], sizes[sizes > 1])


def draw_duplicates(rows: Rows, duplicates: Duplicates, field: Field) -> Line2D | None:
    """Join the pairs of runs; return the line for the legend.

    Those of a job that ran twice again and again are drawn quietly, so that they do not hide those
    of another that should never have; hundreds would hide everything and are only counted. Runs
    under one mark of a lane need no arc.
    """
    if not 0 < len(duplicates.first) <= _MAX_ARCS:
        return None
    rare, lines = duplicates.rare(rows), []
    first, second = duplicates.first, duplicates.second
    apart = np.abs(rows.started[first] - rows.started[second]) > 1.5 * field.page.day
    apart |= field.lane[first] != field.lane[second]
    for chosen, color, width in ((rare & apart, BLACK, 1.3), (~rare & apart, QUIET, 0.7)):
        if chosen.any():
            x, y = _arcs(rows, first[chosen], second[chosen], field)
            lines += field.page.ax.plot(
                x, y, color=color, lw=width, zorder=2.6, label=DUPLICATE_WORDS
            )
    return lines[0] if lines else None


def duplicate_words(
    rows: Rows, duplicates: Duplicates, field: Field, nodes: list[str]
) -> list[LaneWords]:
    """Return where an occurrence ran, behind the first of its runs; none where there are many."""
    rare = duplicates.rare(rows)
    runs: dict[tuple[int, float], list[int]] = {}
    for one, other in zip(
        duplicates.first[rare].tolist(), duplicates.second[rare].tolist(), strict=True
    ):
        # The runs of an occurrence follow each other, each pair beginning where the last one ended.
        runs.setdefault((int(rows.job[one]), float(rows.scheduled[one])), [one]).append(other)
    return [
        LaneWords(
            f"ran {_where([nodes[rows.node[row]] for row in same])}",
            float(np.fmax(rows.finished[same[0]], rows.started[same[0]])),
            int(field.lane[same[0]]),
        )
        for same in runs.values()
        # Under one mark of a lane, draw_counts has said so.
        if np.ptp(field.lane[same]) or np.ptp(rows.started[same]) > 1.5 * field.page.day
    ]


def _where(nodes: list[str]) -> str:
    """Name the nodes of an occurrence's runs, or count them where they are many."""
    names = [short(node) for node in dict.fromkeys(nodes) if node]
    times = f"{len(nodes)} times"
    if not names:  # lanes that stand for something else, or for every node
        return times
    if len(names) > _MAX_NAMES:
        said = f"on {len(names)} nodes"
    elif len(names) == 2:  # noqa: PLR2004 - two are not a list
        said = f"on {names[0]} and on {names[1]}"
    else:
        said = f"on {' and '.join(part for part in (', '.join(names[:-1]), names[-1]) if part)}"
    return said if len(names) == len(nodes) else f"{said} {times}"


def _arcs(
    rows: Rows, first: NDArray[np.intp], second: NDArray[np.intp], field: Field
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return quadratic curves from run to run.

    They leave to the left, or to the right at the left frame; within one lane, upwards. A straight
    line would run through the marks of the lanes between.
    """
    x0, x1 = rows.started[first], rows.started[second]
    y0, y1 = field.y[field.lane[first]], field.y[field.lane[second]]
    bulge = field.page.day * min(_MAX_BULGE, 0.4 * field.page.width / len(np.unique(x0)))
    edge = np.fmin(x0, x1) - field.page.ax.get_xlim()[0] < bulge
    aside = np.where(edge, np.fmax(x0, x1) + 2 * bulge, np.fmin(x0, x1) - 2 * bulge)
    x2 = np.where(y0 == y1, (x0 + x1) / 2, aside)
    y2 = np.where(y0 == y1, y0 - 0.9, (y0 + y1) / 2)
    gap = np.full((len(x0), 1), np.nan)
    ease, peak, land = (1 - _STEPS) ** 2, 2 * _STEPS * (1 - _STEPS), _STEPS**2
    x, y = (
        np.hstack([np.outer(a, ease) + np.outer(c, peak) + np.outer(b, land), gap]).ravel()
        for a, b, c in ((x0, x1, x2), (y0, y1, y2))
    )
    return x, y
