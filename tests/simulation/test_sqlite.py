"""The package's own ledger in SQLite, which answers from a thread, in virtual time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("three_nights.py")


def test_its_answers_take_no_time(tmp_path: Path) -> None:
    """One run a night, at its time, as often as it is simulated."""
    done = subprocess.run(  # noqa: S603 - this Python, on a program of these tests
        [sys.executable, PROGRAM, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "equal True",
        "ten minutes True",
        "one run a night True True",
        "rows [True, True]",
    ]
