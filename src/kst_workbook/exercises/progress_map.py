"""The map of the workbook: a row for each notebook, a square for each exercise."""

from __future__ import annotations

from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kst_scheduler.timeline.inline import png_metadata, sharp_png
from kst_scheduler.timeline.style import house_style
from kst_workbook.exercises.exercise import all_exercises
from kst_workbook.exercises.progress_file import recorded_progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kst_workbook.exercises.exercise import Exercise

NAMES: Final = {
    0: "Start here",
    1: "Install",
    2: "Basic async scheduler",
    3: "Triggers",
    4: "Idempotency options",
    5: "FastAPI lifespan",
    6: "Manual trigger",
    7: "Distributed lock",
    8: "Persistent job store",
    9: "Record outcomes",
    10: "Gotchas",
    11: "Capstone",
    12: "Beyond one machine",
    13: "Your own service",
}
"""What the map calls each notebook."""

_SQUARE: Final = 0.46
"""Inches."""
_MIN_WIDTH: Final = 5
_INK: Final = "#1f2933"
_STATES: Final = {None: ("#8a949e", ""), False: ("#d55e00", "△"), True: ("#009e73", "✓")}
"""Colour and sign of an exercise to do, tried, and right."""


class ProgressMap:
    """Which exercises are right, tried, or still to do, as it is now; drawn in a notebook."""

    def __init__(self) -> None:
        self.exercises = all_exercises()
        self.answers, self.notes = recorded_progress()

    @property
    def solved(self) -> list[str]:
        """The numbers of the exercises that are right."""
        return [number for number in self.exercises if self.answers.get(number)]

    @cached_property
    def picture(self) -> bytes:
        """The map as a PNG file, with two pixels for each of a page."""
        return sharp_png(self._figure)

    @property
    def title(self) -> str:
        """How many exercises are right, in words."""
        return f"{len(self.solved)} of {len(self.exercises)} exercises right"

    def __repr__(self) -> str:
        return "\n".join([self.title, *self.notes])

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        """Return the map, and how large it is shown."""
        return self.picture, png_metadata(self._figure, self.title)

    @cached_property
    def _figure(self) -> Figure:
        with house_style():
            return self._draw()

    def _draw(self) -> Figure:
        rows = [list(group) for _, group in groupby(self.exercises.values(), _notebook)]
        right = max([_MIN_WIDTH, *map(len, rows)])
        figure = Figure(figsize=((4.2 + right) * _SQUARE, (1.4 + len(rows)) * _SQUARE))
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        ax.set(xlim=(-4.2, right), ylim=(len(rows) + 0.1, -1.3))
        ax.text(-4, -0.7, self.title, weight="bold", fontsize=12, va="center")
        for y, row in enumerate(rows):
            name = f"{row[0].notebook:02} {NAMES[row[0].notebook]}"
            ax.text(-0.3, y + 0.5, name, ha="right", va="center")
            for x, exercise in enumerate(row):
                self._draw_square(ax, x, y, exercise)
        return figure

    def _draw_square(self, ax: Axes, x: int, y: int, exercise: Exercise) -> None:
        solved = self.answers.get(exercise.number)
        colour, sign = _STATES[solved]
        face = "white" if solved is None else colour
        ax.add_patch(Rectangle((x + 0.1, y + 0.1), 0.8, 0.8, facecolor=face, edgecolor=colour))
        words, ink = (sign, "white") if sign else (exercise.number, _INK)
        ax.text(x + 0.5, y + 0.5, words, ha="center", va="center_baseline", color=ink)


def _notebook(exercise: Exercise) -> int:
    return exercise.notebook
