"""What a simulation hands over, also when it is interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import pandas as pd


@dataclass(frozen=True)
class SimulationResult:
    """What happened in a simulation."""

    runs: pd.DataFrame
    """The table of runs (kst_scheduler.runs): a row for every due occurrence on every node."""
    incidents: pd.DataFrame
    """One row an incident: node, kind (freeze, crash, clock_jump), start, end, detail."""
    log: pd.DataFrame
    """What APScheduler and this package logged at their levels: time, node, level, message."""
    start: datetime
    end: datetime
    grace: dict[str, timedelta | None]
    """The misfire_grace_time of each job that was due; None: no limit."""
    nodes: tuple[str, ...] = ()
    """The names of the nodes, in the order in which they were given."""
    jobs: tuple[str, ...] = ()
    """The ids of the jobs, in the order in which they were added. Pictures use this order."""
    cut_at: datetime | None = None
    """The moment at which an interrupt ended it; None: it reached its end."""


class SimulationInterrupted(KeyboardInterrupt):
    """Raised when Ctrl-C, or an interrupt of the kernel, ends a simulation.

    ``result`` is what was simulated until then; its ``cut_at`` is the moment. An interactive shell
    shows one line in place of a traceback.
    """

    def __init__(self, result: SimulationResult) -> None:
        self.result = result
        super().__init__(
            f"interrupted at {result.cut_at:%Y-%m-%d %H:%M} KST, before the end at "
            f"{result.end:%Y-%m-%d %H:%M}; to see what was simulated, import sys and write "
            "plot_timeline(sys.last_value.result)"
        )

    def _render_traceback_(self) -> list[str]:
        """Return the lines that an interactive shell shows."""
        return [str(self)]
