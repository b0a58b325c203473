"""What a run tells where the mouse rests on it: the words that ``plot_timeline`` has for it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kst_scheduler.runs.table import NODE_DOWN
from kst_scheduler.timeline.hover import when
from kst_scheduler.timeline.style import DOWN_MARK, MARKS, Mark
from kst_scheduler.timeline.words import duration


def mark_of(row: Any) -> Mark:
    """Return the mark of a row of a table of runs; what was due while its node was down has one."""
    return DOWN_MARK if row.detail == NODE_DOWN else MARKS[row.status]


def describe_run(row: Any) -> str:
    """Return the lines about a row of a table of runs: which job, what happened, why and when."""
    status, detail = mark_of(row).words, "" if row.detail == NODE_DOWN else row.detail
    lines = [
        " on ".join(filter(None, (row.job_id, row.node))),
        f"{status}: {detail}" if detail else status,
        f"scheduled {when(row.scheduled_at)}",
    ]
    if pd.isna(row.started_at):
        return "\n".join([*lines, "never started"])
    late = _seconds(row.started_at - row.scheduled_at)
    apart = f", {duration(abs(late))} {'late' if late > 0 else 'early'}" if late else ""
    lines.append(f"started {when(row.started_at)}{apart}")
    if row.status == "running" or pd.isna(row.finished_at):
        return "\n".join([*lines, "no end is known"])
    lasted = duration(_seconds(row.finished_at - row.started_at))
    return "\n".join([*lines, f"ended {when(row.finished_at)}, after {lasted}"])


def _seconds(span: pd.Timedelta) -> float:
    return round(span.total_seconds(), 3)
