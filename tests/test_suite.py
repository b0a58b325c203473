from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
CONTRIBUTING = (TESTS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_contributing_lists_the_files_of_the_long_tests() -> None:
    """Each file that has the marker, and no other."""
    here = Path(__file__)
    marked = {
        path.relative_to(TESTS.parent).as_posix()
        for path in TESTS.rglob("test_*.py")
        if path != here and "pytest.mark.long" in path.read_text(encoding="utf-8")
    }
    section = CONTRIBUTING.partition("### Long tests")[2].partition("\n## ")[0]
    rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(marked)


def test_a_suite_in_the_background_can_be_interrupted() -> None:
    """A shell's ``&`` ignores Ctrl-C for all processes below it; those of the tests must not."""
    lines = (
        "import signal, runpy, subprocess, sys",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
        f"runpy.run_path({str(TESTS.parent / 'conftest.py')!r})",
        "asked = 'import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)'",
        "subprocess.run([sys.executable, '-c', asked])",
    )
    done = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
