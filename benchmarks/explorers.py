"""What a redraw of an explorer costs, from a control that moved to the PNG that the browser gets.

Purpose: sets controls of each explorer to random values, two hundred times, and prints the median
and the 95th percentile of a redraw (all), and of its parts: run (simulating, or reading the
trigger), draw (the artists of matplotlib), say (the words) and rest (the PNG, most of all). Beside
them stand cpu, which is all that is left of a redraw where the machine does nothing else, and
matplotlib's own floor: an empty figure of the same size, with an axis above and one below, as PNG.
Limits: no browser and no kernel; the way there and back comes on top. Absolute times depend on the
machine. Run: ``uv run python benchmarks/explorers.py`` (a minute). It ends with exit code 1 where a
median is above the target.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, fields
from datetime import date, timedelta
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.figure import Figure

from kst_workbook.explorers import misfire_explorer, replica_explorer, trigger_explorer
from kst_workbook.explorers.pictures import png

if TYPE_CHECKING:
    from collections.abc import Callable

    from kst_workbook.explorers.explorer import Explorer

TARGET: Final = 0.1
"""Seconds from a change to its PNG, at the median."""
CHANGES: Final = 200

TEXTS: Final = (
    *("0 3 * * *", "30 9 * * mon-fri", "*/10 * * * *", "* * * * *", "0 0 1 * *", "0 0 29 2 *"),
    *("@daily", "15,45 */2 * * 1-5", "0 9 1,15 * fri", "no schedule", "hour=25", "0 3"),
    *("hour=3, day_of_week='mon'", "hour='9-18', minute='*/20'", "day='last', hour=6"),
)


@dataclass(frozen=True)
class Redraw:
    """Seconds that a redraw took, and its parts."""

    all: float
    run: float
    draw: float
    say: float
    rest: float
    cpu: float


def change(explorer: Explorer, chance: random.Random) -> Redraw | None:
    """Give one control another value; None where nothing had to be drawn."""
    control = explorer.controls[chance.choice(list(explorer.controls))]
    before, value = control.value, another(control, chance)
    taken.clear()
    began, begun = perf_counter(), thread_time()
    control.value = value
    whole, cpu = perf_counter() - began, thread_time() - begun
    if control.value == before:
        return None
    parts = {name: taken.get(name, 0.0) for name in ("run", "draw", "say")}
    return Redraw(whole, **parts, rest=whole - sum(parts.values()), cpu=cpu)


def another(control: Any, chance: random.Random) -> Any:
    """Return a random value that the control can have."""
    kind = type(control).__name__
    if kind == "Checkbox":
        return not control.value
    if kind == "Text":
        return chance.choice(TEXTS)
    if kind == "DatePicker":
        return date(2026, 1, 1) + timedelta(days=chance.randrange(365))
    if kind == "IntSlider":
        return chance.randrange(control.min, control.max + 1, control.step)
    return chance.choice([option[1] for option in control._options_full])


taken: dict[str, float] = {}


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, which notes how long it takes."""

    def run(*arguments: Any) -> Any:
        began = perf_counter()
        try:
            return function(*arguments)
        finally:
            taken[name] = perf_counter() - began

    return run


def measure(explorer: Explorer) -> list[Redraw]:
    """Return what each of many changes cost."""
    subject = explorer._subject
    for name in ("run", "draw", "say"):
        object.__setattr__(subject, name, timed(name, getattr(subject, name)))
    chance = random.Random(2026)  # noqa: S311 - the same changes every time
    redraws: list[Redraw] = []
    while len(redraws) < CHANGES:
        redraw = change(explorer, chance)
        if redraw:
            redraws.append(redraw)
    return redraws


def floor(explorer: Explorer) -> float:
    """Return the seconds that an empty figure of the explorer's size takes."""
    size = explorer._figure.get_size_inches()  # type: ignore[union-attr]
    times = []
    for _ in range(20):
        began = perf_counter()
        figure = Figure(figsize=tuple(size), dpi=100)
        figure.add_axes((0.1, 0.2, 0.8, 0.6)).secondary_xaxis("top")
        png(figure)
        times.append(perf_counter() - began)
    return float(np.median(times))


def main() -> int:
    """Print the figures and return the exit code."""
    missed = 0
    for make in (misfire_explorer, trigger_explorer, replica_explorer):
        explorer = make()
        redraws = measure(explorer)
        print(f"{make.__name__}: {len(redraws)} changes, milliseconds")
        for name in (field.name for field in fields(Redraw)):
            times = [1000 * getattr(redraw, name) for redraw in redraws]
            print(
                f"  {name:5} median {np.median(times):6.1f}   p95 {np.quantile(times, 0.95):6.1f}"
            )
        print(f"  floor median {1000 * floor(explorer):6.1f}   an empty figure of its size")
        met = float(np.median([redraw.all for redraw in redraws])) <= TARGET
        print(f"  target: {1000 * TARGET:.0f} at the median: {'met' if met else 'missed'}")
        missed += not met
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
