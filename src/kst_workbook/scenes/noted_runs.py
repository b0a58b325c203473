"""A job whose whole work is to note its run in a file, which several processes share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kst_scheduler.scheduler.occurrence import current_occurrence

if TYPE_CHECKING:
    import pandas as pd


async def note_run(file: str) -> None:
    """Append the occurrence that runs to a file."""
    run = current_occurrence()
    with Path(file).open("a", encoding="utf-8") as lines:  # noqa: ASYNC230 - a few bytes
        lines.write(f"{run.job_id}\t{run.scheduled_at.isoformat()}\n")


def noted_runs(file: str) -> pd.DataFrame:
    """Return one row a run: job_id, scheduled_at."""
    import pandas as pd  # noqa: PLC0415 - slow to load, and the replicas do without

    columns = ["job_id", "scheduled_at"]
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    runs = pd.DataFrame([line.split("\t") for line in lines], columns=columns)
    return runs.assign(scheduled_at=pd.to_datetime(runs["scheduled_at"]))
