"""What git keeps is what a reader clones: no trace of one machine, and nothing heavy."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
MAX_BYTES: Final = 1_500_000
# The brackets keep these lines from finding themselves.
TRACES: Final = re.compile(
    rb"/(root|work|farm)/|py[p]i\.org|python[h]osted|registry\.npm[j]s|debian\.[o]rg"
)


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Return the tracked files; skip where there is no git or no clone."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git clone, or no git here: what is tracked cannot be listed")
    command = [git, "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if listed.returncode:
        pytest.skip(f"git does not list the tracked files: {listed.stderr}")
    return [ROOT / name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


def test_no_tracked_file_names_a_machine_or_a_registry(tracked: list[Path]) -> None:
    """A path of an author's machine, or a download address, means nothing to a reader."""
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in tracked
        if (match := TRACES.search(path.read_bytes()))
    ]
    assert not found, "\n".join(found)


def test_no_lock_file_is_tracked(tracked: list[Path]) -> None:
    """It would record download addresses; exclude-newer pins the resolution without one."""
    assert not {"uv.lock", "package-lock.json"} & {path.name for path in tracked}


def test_no_tracked_file_is_heavy(tracked: list[Path]) -> None:
    """1.5 MB is the limit; a reader clones them all."""
    assert not [path.name for path in tracked if path.stat().st_size > MAX_BYTES]
