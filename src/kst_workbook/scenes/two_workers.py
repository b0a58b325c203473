"""A service that uvicorn runs in two workers: one job, added in two ways."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_scheduler.once.decorator import once
from kst_scheduler.servers.child import spawn
from kst_scheduler.triggers.factories import every
from kst_workbook.scenes.noted_runs import note_run, noted_runs

if TYPE_CHECKING:
    from kst_scheduler.service import Service

_FILE: Final = "RUNS_FILE"


def start_workers(folder: str) -> subprocess.Popen[bytes]:
    """Start uvicorn with two workers, and return at once; a SIGTERM ends it.

    Args:
        folder: for the ledger that the workers share, and for the file of their runs.

    """
    file = _runs_file(folder)
    file.touch()
    environment = os.environ | {
        _FILE: str(file),
        "KST_SCHEDULER_JOBS": f"{__name__}:register",
        "DATABASE_URL": f"sqlite:///{folder}/shared.db",
    }
    application = "--factory kst_scheduler.service:create_app"
    command = f"-m uvicorn {application} --workers 2 --port 0".split()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return spawn([sys.executable, *command], ends_by=signal.SIGTERM, env=environment, **quiet)


def most_runs(folder: str) -> dict[str, int]:
    """Return how often each job ran an occurrence, at most, over both workers."""
    counts = noted_runs(str(_runs_file(folder))).value_counts()
    return {str(job): int(count) for job, count in counts.groupby("job_id").max().items()}


def register(service: Service) -> None:
    """Add the jobs, in each worker: one plain, one with ``once``."""
    file, second = [os.environ[_FILE]], every(seconds=1)
    service.scheduler.add_job(note_run, second, args=file, id="plain")
    service.scheduler.add_job(once(service.ledger)(note_run), second, args=file, id="once")


def _runs_file(folder: str) -> Path:
    return Path(folder, "runs.tsv")
