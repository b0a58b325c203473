from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CONTRIBUTING = (TESTS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_contributing_lists_the_files_of_the_long_tests() -> None:
    """Each file that has the marker, and no other."""
    marker = "pytest.mark." + "long"
    marked = {
        path.relative_to(TESTS.parent).as_posix()
        for path in TESTS.rglob("test_*.py")
        if marker in path.read_text(encoding="utf-8")
    }
    section = CONTRIBUTING.partition("### Long tests")[2].partition("\n## ")[0]
    rows = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(marked)


def test_no_two_test_files_have_the_same_name() -> None:
    """In one process pytest refuses the second of them; alone each of them passes."""
    names = Counter(path.name for path in TESTS.rglob("*.py") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="it expands the braces")
def test_what_the_second_run_leaves_out_is_there() -> None:
    """A file that has moved would be run again, in every zone."""
    lines = (TESTS.parent / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    ignored = [line.strip() for line in lines if line.strip().startswith("--ignore=")]
    done = subprocess.run(  # noqa: S603 - lines of this project
        ["bash", "-c", f"printf '%s\n' {' '.join(ignored)}"],  # noqa: S607 - bash is on the PATH
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [TESTS.parent / line.removeprefix("--ignore=") for line in done.stdout.splitlines()]
    assert len(paths) > len(ignored) > 0
    assert [path for path in paths if not path.exists()] == []


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


def test_what_is_left_of_other_tests_is_not_in_caplog(caplog: pytest.LogCaptureFixture) -> None:
    """A task that failed is reported whenever it is freed."""

    async def fail() -> None:
        raise OSError("no answer")

    async def work() -> None:
        failed = asyncio.create_task(fail())
        await asyncio.sleep(0)
        del failed

    asyncio.run(work())
    gc.collect()
    assert caplog.messages == []


@pytest.mark.long
def test_the_names_of_the_tests_are_the_same_a_second_later() -> None:
    """And with other hashes in another zone: each process of pytest-xdist collects for itself."""
    collected = [_collect({"TZ": "UTC", "PYTHONHASHSEED": "1"})]
    time.sleep(1)
    collected.append(_collect({"TZ": "Asia/Seoul", "PYTHONHASHSEED": "2"}))
    assert len(collected[0]) > 1000
    assert collected[0] == collected[1]


def _collect(env: dict[str, str]) -> list[str]:
    """Return the names of all tests, the long ones too, as a new process collects them."""
    command = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "long or not long")
    done = subprocess.run(  # noqa: S603 - this Python
        [*command, "-n", "0", "-p", "no:cacheprovider"],
        cwd=TESTS.parent,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if "::" in line]
