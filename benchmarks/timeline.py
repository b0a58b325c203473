"""What a picture of many runs costs, beside matplotlib's bare floor for the same figure.

Purpose: prints how long ``plot_timeline`` takes from a table of 1e5 runs to a PNG, and how the time
grows with the table. The floor is an empty figure of the same size saved as PNG; ``scatter`` is
what one would write without a package: a scatter of the started runs and ``hlines`` for their
durations. Limits: the best of several rounds, taken in turns in one run; absolute times depend on
the machine. Run: ``uv run python benchmarks/timeline.py`` (ten seconds). It ends with exit code 1
where the target is missed.
"""

from __future__ import annotations

import io
import sys
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from kst_scheduler.runs.table import NAT, STATUSES, RunLog
from kst_scheduler.timeline import plot_lateness, plot_timeline
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

TARGET: Final = 0.5
"""Seconds from 1e5 runs to a PNG."""
ROUNDS: Final = 5
LANES: Final = 20
MONTH: Final = 30 * 86_400_000_000
SECOND: Final = 1_000_000


def table(rows: int) -> pd.DataFrame:
    """Return a month of runs on two nodes with ten jobs each; one in fifty goes wrong."""
    log, random = RunLog(), np.random.default_rng(2026)
    start = int(kst(2026, 5, 1).timestamp()) * SECOND
    codes = np.where(random.random(rows) < 0.98, 0, random.integers(1, 6, rows))
    lasts = random.integers(1, 300, rows) * SECOND
    for number in range(rows):
        due = start + number * MONTH // rows
        status = STATUSES[codes[number]]
        ran = status in {"ok", "error"}
        log.add(
            "AB"[number % 2],
            f"job-{number // 2 % (LANES // 2)}",
            due,
            status,
            due if ran else NAT,
            due + int(lasts[number]) if ran else NAT,
        )
    return log.table()


def to_png(figure: Any) -> None:
    """Save and close a figure."""
    figure.savefig(io.BytesIO(), format="png")
    plt.close(figure)


def floor() -> None:
    """Save an empty figure of the same size with as many labels."""
    figure, ax = plt.subplots(figsize=(10, 10.8), dpi=100)
    ax.set_yticks(range(LANES), labels=[f"A  job-{lane}" for lane in range(LANES)])
    to_png(figure)


def timeline(runs: pd.DataFrame) -> None:
    """Draw the runs with this package."""
    to_png(plot_timeline(runs).figure)


def scatter(runs: pd.DataFrame) -> None:
    """Draw the runs as one would without a package."""
    figure, ax = plt.subplots(figsize=(10, 10.8), dpi=100)
    ran = runs[runs["started_at"].notna()]
    lane = (ran["node"] + ran["job_id"]).astype("category").cat.codes.to_numpy()
    started = ran["started_at"].dt.tz_convert(None).to_numpy()
    ax.hlines(lane, started, ran["finished_at"].dt.tz_convert(None).to_numpy())
    ax.scatter(started, lane, c=ran["status"].cat.codes.to_numpy())
    to_png(figure)


def best(*tasks: Callable[[], None]) -> list[float]:
    """Return the shortest time of each task, taken in turns."""
    times: list[list[float]] = [[] for _ in tasks]
    for _ in range(ROUNDS):
        for task, taken in zip(tasks, times, strict=True):
            began = perf_counter()
            task()
            taken.append(perf_counter() - began)
    return [min(taken) for taken in times]


def main() -> int:
    """Print the figures and return the exit code."""
    mpl.use("Agg")
    sizes = {rows: table(rows) for rows in (100, 10_000, 100_000)}
    tasks: dict[str, Callable[[], None]] = {"empty figure (floor)": floor}
    for rows, runs in sizes.items():
        tasks[f"plot_timeline, {rows:,} runs"] = partial(timeline, runs)
    most = sizes[100_000]
    tasks["plot_lateness, 100,000 runs"] = lambda: to_png(plot_lateness(most).figure)
    tasks["scatter and hlines, 100,000 runs"] = lambda: scatter(most)
    times = dict(zip(tasks, best(*tasks.values()), strict=True))
    print(f"best of {ROUNDS}, matplotlib {mpl.__version__}, Python {sys.version.split()[0]}")
    least = times["empty figure (floor)"]
    for name, seconds in times.items():
        print(f"  {name:34} {seconds:.3f} s   {seconds / least:5.1f}x floor")
    ours = times["plot_timeline, 100,000 runs"]
    print(f"  target: 100,000 runs within {TARGET} s: {'met' if ours <= TARGET else 'missed'}")
    return int(ours > TARGET)


if __name__ == "__main__":
    sys.exit(main())
