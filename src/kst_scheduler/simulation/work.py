"""When simulated jobs really worked, piece by piece, in true time.

The table of runs says when a job's function began. A function that waits for a lock has begun, but
works later, or never. So only the work itself can show whether two runs worked at the same time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kst_scheduler.errors import SimulationError
from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.table import NAT, moments
from kst_scheduler.scheduler.occurrence import current_occurrence
from kst_scheduler.simulation.clock import current_world
from kst_scheduler.simulation.world import shown, shown_after

if TYPE_CHECKING:
    from kst_scheduler.simulation.result import SimulationResult

    Run = tuple[str, str, int]


class WorkLog:
    """Pieces of work, each noted by the job that does it; on a node, an occurrence is one run."""

    def __init__(self) -> None:
        self._pieces: list[tuple[str, str, int, int, Any]] = []

    def note(self, piece: Any = None) -> None:
        """Note that the calling job does a piece of its work now.

        Raises:
            SimulationError: called outside a simulated job.
            NoOccurrenceError: the scheduler does not tell jobs their occurrence, as KSTScheduler
                does.

        """
        world = current_world()
        if world is None or world.current is None:
            raise SimulationError("a piece of work can only be noted inside a simulated job")
        occurrence = current_occurrence()
        scheduled_at = shown(microseconds(occurrence.scheduled_at))  # as the table of runs has it
        run = world.current.host.name, occurrence.job_id, scheduled_at
        self._pieces.append((*run, shown_after(scheduled_at, world.shown), piece))

    def clear(self) -> None:
        """Delete all pieces, before another simulation."""
        self._pieces.clear()

    def table(self) -> pd.DataFrame:
        """Return one row a piece, in the order of time: node, job_id, scheduled_at, at, piece."""
        node, job_id, scheduled_at, at, piece = (
            zip(*self._pieces, strict=True) if self._pieces else [()] * 5
        )
        return pd.DataFrame(
            {
                "node": pd.array(list(node), dtype="str"),
                "job_id": pd.array(list(job_id), dtype="str"),
                "scheduled_at": moments(np.array(scheduled_at, np.int64)),
                "at": moments(np.array(at, np.int64)),
                "piece": pd.Series(list(piece), dtype=object),
            }
        )

    def with_work_starts(self, result: SimulationResult) -> SimulationResult:
        """Return the result with ``started_at`` at each run's first piece; NaT: it did none.

        A run that was locked out keeps the moment at which it asked: its status says the rest.
        """
        first = {run: begin for run, (begin, _) in self._spans().items()}
        runs = result.runs
        scheduled_at = [microseconds(moment) for moment in runs["scheduled_at"]]
        keys = zip(runs["node"], runs["job_id"], scheduled_at, strict=True)
        begun = pd.Series(moments(np.array([first.get(key, NAT) for key in keys], np.int64)))
        started_at = begun.where(runs["status"] != "locked_out", runs["started_at"])
        return replace(result, runs=runs.assign(started_at=started_at))

    def pieces_left(self) -> pd.DataFrame:
        """Return how many pieces each occurrence has left, where one replaces an equal one before.

        One row an occurrence: job_id, scheduled_at, pieces.
        """
        last = self.table().groupby(["job_id", "piece"], sort=False).last().reset_index()
        counts = last.groupby(["job_id", "scheduled_at"]).size()
        return counts.rename("pieces").reset_index()

    def most_runs(self) -> int:
        """Return how many runs worked for one occurrence, at most."""
        runs = Counter((job_id, scheduled_at) for _, job_id, scheduled_at in self._spans())
        return max(runs.values(), default=0)

    def most_at_once(self) -> int:
        """Return how many runs of one job were at once between their first and last piece."""
        spans = [(run[1], *span) for run, span in self._spans().items()]
        return max(
            (
                sum(job == other and begin <= first <= end for other, begin, end in spans)
                for job, first, _ in spans
            ),
            default=0,
        )

    def _spans(self) -> dict[Run, tuple[int, int]]:
        """Return the times of each run's first and last piece."""
        spans: dict[Run, tuple[int, int]] = {}
        for node, job_id, scheduled_at, at, _ in self._pieces:
            run = node, job_id, scheduled_at
            spans[run] = spans.get(run, (at, at))[0], at
        return spans
