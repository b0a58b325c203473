"""How much CPU time a rehearsal takes: fourteen nights of twenty jobs under ``once``, two replicas.

Purpose: prints the CPU time of whole processes, the one that calls ``rehearse`` with its imports
  and the one in which the service runs, for twenty nightly jobs, and for twenty that are due each
  minute. Beside it stands the CPU time of ten million turns of an empty loop, so that a slow
  machine can be told from a slow rehearsal.
Limits: the median of five runs counts, of one run for the jobs of each minute. Compiled modules are
  in ``__pycache__``, as after a first run.
Run: ``uv run python benchmarks/rehearsal.py``; exit code 1 where the target is missed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROUNDS: Final = 5
TARGET: Final = 10.0
"""Seconds of CPU time."""
SERVICES: Final = Path(__file__).resolve().parents[1] / "tests" / "rehearsal" / "services"
REHEARSE: Final = """
import sys
from kst_scheduler.rehearsal import rehearse
found = rehearse(sys.argv[1])
assert len(found.runs) >= 2 * 14 * 20, len(found.runs)
"""
EMPTY_LOOP: Final = "for _ in range(10_000_000): pass"
EACH_MINUTE: Final = """
from kst_scheduler import cron, once

async def report(): ...

def add_jobs(service):
    for number in range(20):
        job = once(service.ledger)(report)
        service.scheduler.add_job(job, cron(minute="*"), id=f"report-{number}")
"""


def cpu_seconds(program: str, *arguments: str) -> float:
    """Return the CPU time of a Python process, and of those that it started."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", program, *arguments]
    process = subprocess.Popen(command, env=environment)  # noqa: S603 - this Python
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def median(rounds: int, program: str, *arguments: str) -> float:
    """Return the median CPU time of some runs."""
    return statistics.median(cpu_seconds(program, *arguments) for _ in range(rounds))


def main() -> int:
    """Print the figures and return the exit code."""
    cpu_seconds("import kst_scheduler.rehearsal, kst_scheduler.rehearsal.child")  # compiled now
    loop = median(ROUNDS, EMPTY_LOOP)
    print(f"an empty loop, ten million turns: {loop:.2f} s of CPU")
    nightly = median(ROUNDS, REHEARSE, f"{SERVICES / 'good_twenty.py'}:add_jobs")
    print(
        f"twenty nightly jobs: {nightly:.1f} s (target: {TARGET:g} s), {nightly / loop:.0f} loops"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "each_minute.py")
        file.write_text(EACH_MINUTE, encoding="utf-8")
        often = cpu_seconds(REHEARSE, f"{file}:add_jobs")
    print(f"twenty jobs of each minute: {often:.1f} s, {often / loop:.0f} loops")
    return int(nightly > TARGET)


if __name__ == "__main__":
    sys.exit(main())
