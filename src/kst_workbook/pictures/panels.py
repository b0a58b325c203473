"""Plots of a notebook's own numbers, in the style of the other pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from kst_scheduler.timeline.inline import Picture
from kst_scheduler.timeline.page import GAP, WIDTH
from kst_scheduler.timeline.style import (
    BLUE,
    DPI,
    FAINT,
    GREEN,
    LINE,
    ORANGE,
    PURPLE,
    QUIET,
    TEXT,
    TITLE,
    VERMILLION,
    house_style,
)
from kst_scheduler.timeline.words import wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT: Final = 52.0
_RIGHT: Final = 16.0
_BELOW: Final = 2 * (TEXT * LINE + 8)
"""Height of the last panel's tick labels and of what its axis is called."""


def panels(*titles: str, height: float = 76.0) -> list[Axes]:
    """Open a figure with a panel for each title, one below another, which share the x axis.

    Draw on the axes as usual: ``ax.plot(days, numbers, "o")``. Only the last one has labels below.

    Args:
        titles: what each panel shows; none for a panel without one.
        height: that of each panel, in points.

    """
    with house_style():
        lines = [wrap(title, WIDTH - 2 * GAP, TITLE, bold=True) for title in titles]
        above = [GAP + (line.count("\n") + 1) * TITLE * LINE + GAP for line in lines]
        total = sum(above) + len(lines) * height + _BELOW
        figure = plt.figure(figsize=(WIDTH / 72, total / 72), dpi=DPI, FigureClass=Picture)
        axes: list[Axes] = []
        top = total
        for title, room in zip(lines, above, strict=True):
            top -= room + height
            box = (
                _LEFT / WIDTH,
                top / total,
                (WIDTH - _LEFT - _RIGHT) / WIDTH,
                height / total,
            )
            axes.append(figure.add_axes(box, sharex=axes[0] if axes else None))
            _style(axes[-1], title)
        for ax in axes[:-1]:
            ax.tick_params(labelbottom=False)
    return axes


def _style(ax: Axes, title: str) -> None:
    ax.set_title(title, loc="left", x=(GAP - _LEFT) / (WIDTH - _LEFT - _RIGHT), pad=GAP)
    ax.set_prop_cycle(color=[BLUE, VERMILLION, GREEN, PURPLE, ORANGE])
    ax.grid(color=FAINT, lw=0.8)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", color=QUIET)
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.margins(y=0.2)
