"""The table of runs: its columns, its recorder, and the fate of each occurrence."""

from kst_scheduler.runs.fates import broken_promises, fates
from kst_scheduler.runs.recorder import RunRecorder
from kst_scheduler.runs.table import duplicates, lateness

__all__ = ["RunRecorder", "broken_promises", "duplicates", "fates", "lateness"]
