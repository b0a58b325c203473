"""How long a worker waits for a task, beside the dead tuples that the statement reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kst_scheduler.timeline.style import BLUE, ORANGE, VERMILLION, house_style, tint
from kst_workbook.pictures.panels import panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from kst_workbook.scenes.busy_queue import Step

_TITLES: Final = ("Dead tuples in the table of the queue", "Time to fetch a task, ms")


def plot_fetches(steps: Sequence[Step]) -> list[Axes]:
    """Plot dead tuples, and below them the time to fetch a task, over the jobs that passed.

    Where a report was open, both are shaded.
    """
    jobs = [step.jobs for step in steps]
    axes = panels(*_TITLES, height=96)
    with house_style():
        for ax, values, colour in (
            (axes[0], [step.dead_tuples for step in steps], VERMILLION),
            (axes[1], [step.fetch_ms for step in steps], BLUE),
        ):
            ax.plot(jobs, values, color=colour, lw=2)
            ax.set_ylim(0, max(values) * 1.15 or 1)
        _shade(axes, steps)
        axes[-1].set_xlim(0)
        axes[-1].set_xlabel("jobs that passed through the queue")
    return axes


def _shade(axes: Sequence[Axes], steps: Sequence[Step]) -> None:
    """Shade the one span in which a report was open, and name it in the first panel."""
    held = [number for number, step in enumerate(steps) if step.report_is_open]
    if not held:
        return
    first, last = steps[held[0] - 1].jobs if held[0] else 0, steps[held[-1]].jobs
    for ax in axes:
        ax.axvspan(first, last, color=tint(ORANGE, 0.25), lw=0, zorder=0)
    corner = (first, axes[0].get_ylim()[1])
    axes[0].annotate("the report is open", corner, (6, -6), textcoords="offset points", va="top")
