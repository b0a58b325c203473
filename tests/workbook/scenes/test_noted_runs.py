"""Notes of runs come back as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import kst
from kst_workbook.scenes.noted_runs import note_run, noted_runs

if TYPE_CHECKING:
    from pathlib import Path


def test_each_run_of_each_replica_is_a_row(tmp_path: Path) -> None:
    """With its job and its time."""
    file = str(tmp_path / "runs.tsv")
    simulate(
        lambda scheduler: scheduler.add_job(note_run, "cron", hour=3, args=[file], id="nps"),
        kst(2026, 5, 10),
        kst(2026, 5, 11),
        nodes=2,
    )
    runs = noted_runs(file)
    assert list(runs["job_id"]) == ["nps", "nps"]
    assert set(runs["scheduled_at"]) == {kst(2026, 5, 10, 3)}
