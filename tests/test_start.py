"""start.py, as one who has just cloned the workbook runs it; uv is played by a script."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

START = Path(__file__).parents[1] / "start.py"
NO_ANSWER = "the package index does not answer; check your network and proxy, and start again"
UV = """\
#!/bin/sh
case $1 in
--version) echo "uv ${FAKE_UV_VERSION:-0.13.9}"; exit 0 ;;
esac
printf '%s\\n' "$*" >> "$FAKE_UV_CALLS"
case $1 in
sync)
    printf 'Resolved 2 packages in 1ms\\nDownloading numpy (15.0MiB)\\n' >&2
    printf '%s' "$FAKE_UV_SAYS" >&2
    exit "${FAKE_UV_EXIT:-0}" ;;
run)
    printf 'home %s\\npython %s\\nfolder %s\\n' "$HOME" "$UV_PYTHON" "$PWD"
    exit "${FAKE_RUN_EXIT:-0}" ;;
esac
"""


@dataclass
class Clone:
    """A checkout with start.py in it, and the folder of programs that its PATH names."""

    folder: Path
    programs: Path

    def run(
        self, *words: str, code: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run start.py, after some code where it stands in for another machine."""
        script = [sys.executable, str(self.folder / "start.py")]
        if code:
            runs = f"import runpy; runpy.run_path({script[1]!r}, run_name='__main__')"
            script = [sys.executable, "-c", f"{code}; {runs}"]
        own = {"PATH": f"{self.programs}:/usr/bin:/bin", "FAKE_UV_CALLS": str(self.calls)}
        return subprocess.run(  # noqa: S603 - start.py, and what stands in for uv
            [*script, *words],
            env={**_without_settings(), **own, **environment},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def calls(self) -> Path:
        """The file in which uv notes what it was called with."""
        return self.programs / "calls"

    def uv_calls(self) -> list[str]:
        """Return what uv was called with, a line a call."""
        return self.calls.read_text(encoding="utf-8").splitlines()


def _without_settings() -> dict[str, str]:
    """Return this process's environment without settings of pip and uv."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a checkout below a folder with a space and Korean letters in its name."""
    made = Clone(tmp_path / "내 작업" / "workbook", tmp_path / "bin")
    made.folder.mkdir(parents=True)
    made.programs.mkdir()
    shutil.copy(START, made.folder)
    return made


@pytest.fixture
def with_uv(clone: Clone) -> Clone:
    """Return a checkout on a machine that has uv."""
    uv = clone.programs / "uv"
    uv.write_text(UV, encoding="utf-8")
    uv.chmod(0o755)
    return clone


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines that start.py itself says."""
    return [line for line in done.stderr.splitlines() if line.startswith("start: ")]


def test_an_old_python_can_read_it() -> None:
    """No syntax in it is newer than Python 3.7, so that an old one says what it is."""
    ast.parse(START.read_text(encoding="utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize("version", ["3, 9, 18", "3, 10, 13"])
def test_a_python_that_is_too_old_is_one_line(with_uv: Clone, version: str) -> None:
    """The line names the version that runs and the one that is needed."""
    done = with_uv.run(code=f"import sys; sys.version_info = ({version}, 'final', 0)")
    assert done.returncode == 1
    assert done.stderr == (
        f"start: this is Python {version.replace(', ', '.')}, and the workbook needs 3.11 or "
        "newer; start it with one, such as: python3.13 start.py\n"
    )


def test_without_arguments_it_opens_the_workbook(with_uv: Clone) -> None:
    """The packages of the tests are not installed, and each step is said."""
    done = with_uv.run()
    assert done.returncode == 0
    assert with_uv.uv_calls() == [
        "sync --inexact --no-default-groups --extra workbook",
        "run --no-sync kst-workbook",
    ]
    assert said(done) == [
        "start: checking the packages in .venv (about 200 MB to download the first time)",
        "start: running kst-workbook",
    ]
    assert "Downloading numpy" in done.stderr
    assert f"python {sys.executable}\nfolder {with_uv.folder}\n" in done.stdout


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["03_triggers.ipynb"], "kst-workbook 03_triggers.ipynb"),
        (["--no-browser"], "kst-workbook --no-browser"),
        (["kst-workbook", "page"], "kst-workbook page"),
        (["page", "site"], "kst-workbook page site"),
        (["reset", "03"], "kst-workbook reset 03"),
    ],
)
def test_a_notebook_or_an_option_is_for_the_workbook(
    with_uv: Clone, words: list[str], command: str
) -> None:
    """Only a word that can be a command is taken for one."""
    with_uv.run(*words)
    assert with_uv.uv_calls()[1] == f"run --no-sync {command}"


def test_the_tests_get_all_packages_and_give_their_exit_code(with_uv: Clone) -> None:
    """What pytest is called with arrives, and so does what it ends with."""
    done = with_uv.run("pytest", "-n", "0", FAKE_RUN_EXIT="5")
    assert with_uv.uv_calls() == ["sync --inexact", "run --no-sync pytest -n 0"]
    assert done.returncode == 5


def test_help_installs_nothing(clone: Clone) -> None:
    """It says what can be written."""
    assert "python3 start.py pytest" in clone.run("--help").stdout
    assert not (clone.folder / ".uv").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "error: Failed to install: x\n  Caused by: No space left on device (os error 28)\n",
            (
                "the packages could not be installed: the disk of {folder}, or of your home "
                "folder, is full; make room for 1 GB, and start again"
            ),
        ),
        (
            "error: Request failed after 3 retries\n  Caused by: Failed to fetch: `x`\n",
            f"the packages could not be downloaded: {NO_ANSWER}",
        ),
    ],
)
def test_what_stops_uv_is_said_in_one_line(with_uv: Clone, words: str, line: str) -> None:
    """The words of uv itself, of several lines, are left out where the cause is known."""
    done = with_uv.run(FAKE_UV_SAYS=words, FAKE_UV_EXIT="2")
    assert done.returncode == 1
    assert said(done)[-1] == f"start: {line.format(folder=with_uv.folder)}"
    assert "Caused by" not in done.stderr
    assert len(with_uv.uv_calls()) == 1


def test_what_is_not_known_is_shown_as_uv_says_it(with_uv: Clone) -> None:
    """Nobody has to guess what an unknown failure was."""
    done = with_uv.run(FAKE_UV_SAYS="error: the moon is full\n", FAKE_UV_EXIT="2")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "error: the moon is full\n"
        "start: the packages could not be installed, for the reason above\n"
    )


@pytest.mark.parametrize(
    ("pip", "line"),
    [
        (
            (
                "WARNING: Retrying after connection broken by 'NewConnectionError'\n"
                "ERROR: No matching distribution found for uv"
            ),
            f"uv could not be downloaded: {NO_ANSWER}",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left",
            (
                "uv could not be installed: the disk of {folder}, or of your home folder, is full; "
                "make room for 1 GB, and start again"
            ),
        ),
        (
            "ERROR: Could not fetch URL: [SSL] certificate verify failed",
            "uv could not be installed, for the reason above",
        ),
        (
            "/usr/bin/python3: No module named pip",
            (
                "this Python has no pip; install it (on Debian or Ubuntu: apt install "
                "python3-pip), or install uv, and start again"
            ),
        ),
    ],
)
def test_what_stops_pip_is_said_in_one_line(clone: Clone, pip: str, line: str) -> None:
    """Where uv is not there, and cannot be installed."""
    python = clone.programs / "python"
    python.write_text(f'#!/bin/sh\ncat <<"END"\n{pip}\nEND\nexit 1\n', encoding="utf-8")
    python.chmod(0o755)
    done = clone.run(code=f"import sys; sys.executable = {str(python)!r}")
    assert done.returncode == 1
    reason = [pip] if line.endswith("above") else []  # shown as pip says it
    assert done.stderr.splitlines() == [
        "start: installing the installer, uv, into .uv (25 MB to download, once)",
        *reason,
        f"start: {line.format(folder=clone.folder)}",
    ]


@pytest.mark.parametrize("uv", ["echo uv 0.4.30", "echo pyenv: uv: command not found; exit 127"])
def test_a_uv_that_is_old_or_does_not_run_is_passed_over(with_uv: Clone, uv: str) -> None:
    """The one beside start.py takes its place."""
    own = with_uv.folder / ".uv/bin/uv"
    own.parent.mkdir(parents=True)
    (with_uv.programs / "uv").rename(own)
    other = with_uv.programs / "uv"
    other.write_text(f"#!/bin/sh\n{uv}\n", encoding="utf-8")
    other.chmod(0o755)
    assert with_uv.run().returncode == 0
    assert with_uv.uv_calls()[1] == "run --no-sync kst-workbook"


def test_a_folder_that_is_in_the_way_is_one_line(with_uv: Clone) -> None:
    """A file in the place of .uv, where the home has to have its stand-in."""
    (with_uv.folder / ".uv").touch()
    done = with_uv.run(HOME="/proc/nobody")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Not a directory" in done.stderr.splitlines()[-1]


def test_a_folder_that_cannot_be_written_to_is_one_line(with_uv: Clone) -> None:
    """A disk that is mounted for reading only says so to root, too."""
    refuse = (
        "import errno, tempfile\n"
        "def refuse(dir): raise OSError(errno.EROFS, 'Read-only file system')\n"
        "tempfile.TemporaryFile = refuse\n"
        "0"
    )
    done = with_uv.run(code=refuse)
    assert done.returncode == 1
    assert done.stderr == (
        f"start: {with_uv.folder} cannot be written to, and the packages are installed there; "
        "copy the folder to one of your own, and start it there\n"
    )


def test_a_home_that_cannot_be_written_to_gets_a_stand_in(with_uv: Clone) -> None:
    """As in a container whose user is made up: caches and settings go beside the packages."""
    done = with_uv.run(HOME="/proc/nobody")
    home = with_uv.folder / ".uv/home"
    assert done.returncode == 0
    assert said(done)[0] == (
        "start: your home folder /proc/nobody cannot be written to; "
        f"settings and caches go to {home}"
    )
    assert f"home {home}\n" in done.stdout


def test_new_packages_are_imported_once_beside_the_workbook(with_uv: Clone) -> None:
    """Only where some were installed: what a notebook imports is compiled meanwhile."""
    with_uv.run(FAKE_UV_SAYS="Installed 138 packages in 550ms\n")
    deadline = time.monotonic() + 30
    while len(with_uv.uv_calls()) < 3 and time.monotonic() < deadline:  # nobody waits for it
        time.sleep(0.01)
    calls = sorted(with_uv.uv_calls()[1:])
    assert calls[0] == "run --no-sync kst-workbook"
    assert calls[1].startswith("run --no-sync python -c import ipykernel")
