"""Open the workbook, or run its tests, on a machine that has only Python 3.11 or newer and pip.

    python3 start.py                            open the workbook in JupyterLab
    python3 start.py 03_triggers.ipynb --no-browser
    python3 start.py pytest                     run the tests, or another command of the workbook

Everything is installed into two folders beside this file: .uv, the installer, and .venv, the
packages. The system's own Python is not touched, and the PATH need not be changed; caches stay in
your home folder. If uv is on the PATH, it is used, and ``uv run kst-workbook`` and
``uv run pytest`` do the same as this file.
"""

# Keep this file valid for Python 3.7: an old Python must reach the message that says so.
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLER = HERE / ".uv"
OLDEST = (3, 11)
OLDEST_UV = (0, 6)
OWN_VERBS = ("reset", "refresh", "page", "help")
"""What kst-workbook takes as its first word, besides a notebook or an option."""

PROGRESS = re.compile(r" *(Using|Creating|Downloading|Downloaded|Building|Built|Installed) ")
"""The lines of uv that say how far it is."""

NO_SPACE = re.compile(r"no space left|os error 28|disk quota", re.IGNORECASE)
NO_NETWORK = re.compile(
    # what pip says, and what uv says
    r"NewConnectionError|NameResolutionError|ConnectTimeout|no matching distribution found for uv|"
    r"failed to fetch|failed to download|error sending request|dns error|tcp connect",
    re.IGNORECASE,
)

WARM_UP = (
    "import ipykernel.kernelapp, matplotlib_inline.backend_inline, matplotlib.pyplot, pandas;"
    "from kst_scheduler import plot_timeline, simulate; import kst_workbook.nps.sandbox"
)

NOT_TRUSTED = re.compile(r"certificate|ssl module", re.IGNORECASE)
"""What is wrong then is not the network, and is shown."""


class CannotStartError(Exception):
    """Raised with one line that says what is wrong, and what to do."""


def main(words: list[str]) -> None:
    """Install what is not there yet, and run the command."""
    if words[:1] in (["-h"], ["--help"]):
        sys.stdout.write(__doc__ or "")
        return
    command = _command(words)
    _check_python()
    _check_folder()
    environment = _environment()
    uv = _find_uv() or _install_uv(environment)
    if _install_packages(uv, command, environment) and command[0] == "kst-workbook":
        _warm_up(uv, environment)
    _say(f"running {' '.join(command)}")
    _run([uv, "run", "--no-sync", *command], environment)


def _command(words: list[str]) -> list[str]:
    """Return the command that is meant; a notebook or an option is for kst-workbook."""
    first = words[0] if words else ""
    is_own = not first or first in OWN_VERBS or first.startswith("-") or first.endswith(".ipynb")
    return ["kst-workbook", *words] if is_own else words


def _check_python() -> None:
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:3]))
        raise CannotStartError(
            f"this is Python {version}, and the workbook needs 3.11 or newer; "
            "start it with one, such as: python3.13 start.py"
        )


def _check_folder() -> None:
    if not _is_writable(HERE):
        raise CannotStartError(
            f"{HERE} cannot be written to, and the packages are installed there; "
            "copy the folder to one of your own, and start it there"
        )


def _environment() -> dict[str, str]:
    """Return the environment of every command: this Python, and a home that can be written to."""
    environment = {**os.environ, "UV_PYTHON": sys.executable, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # An older pip ignores settings that it does not know, and refuses options.
    environment.update(PIP_ROOT_USER_ACTION="ignore", PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0")
    # Python 3.11 and 3.12 read the file that names this folder in the encoding of the locale.
    if os.environ.get("LC_ALL") in ("C", "POSIX"):
        environment["LC_ALL"] = "C.UTF-8"
    environment.pop("VIRTUAL_ENV", None)  # another project's: uv would warn that it is not used
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is none
    if not _is_writable(home):
        own = INSTALLER / "home"
        own.mkdir(parents=True, exist_ok=True)
        _say(f"your home folder {home} cannot be written to; settings and caches go to {own}")
        environment["HOME"] = str(own)
    return environment


def _is_writable(folder: Path) -> bool:
    """Tell whether a file can be made in a folder; modes do not tell it, to root least of all."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        return bool(NO_SPACE.search(str(error)))  # a full disk is another matter, said later


def _find_uv() -> str | None:
    # pip puts the programs of a --target into its bin folder on every system.
    found = (shutil.which("uv"), shutil.which(str(INSTALLER / "bin" / "uv")))
    return next((uv for uv in found if uv is not None and _is_usable(uv)), None)


def _is_usable(uv: str) -> bool:
    """Tell whether a uv runs, and is new enough: one on the PATH may be old, or a shim of pyenv."""
    try:
        words = subprocess.check_output([uv, "--version"], cwd=str(HERE), stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return False
    version = re.match(rb"uv (\d+)\.(\d+)", words)
    return version is not None and tuple(map(int, version.groups())) >= OLDEST_UV


def _install_uv(environment: dict[str, str]) -> str:
    _say("installing the installer, uv, into .uv (25 MB to download, once)")
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--upgrade", "--target", str(INSTALLER), "uv"],
        env=environment,
        cwd=str(HERE),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    words = done.stdout.decode(errors="replace")
    if "No module named pip" in words:
        raise CannotStartError(
            "this Python has no pip; install it (on Debian or Ubuntu: apt install python3-pip), "
            "or install uv, and start again"
        )
    uv = _find_uv()
    if done.returncode or uv is None:
        raise _why_not_installed("uv", words)
    return uv


def _install_packages(uv: str, command: list[str], environment: dict[str, str]) -> bool:
    """Install the packages, those of the tests only where needed; return whether any was."""
    # The bytecode of what a reader opens is compiled when it is opened: a tenth of all.
    sync = [uv, "sync", "--inexact"]
    if command[0] == "kst-workbook":
        sync += ["--no-default-groups", "--extra", "workbook"]
    _say("checking the packages in .venv (about 200 MB to download the first time)")
    others, installed = [], False
    with subprocess.Popen(
        sync, env=environment, cwd=str(HERE), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for line in process.stdout or ():
            words = line.decode(errors="replace").rstrip()
            installed = installed or words.startswith("Installed ")
            if PROGRESS.match(words):
                sys.stderr.write(f"{words}\n")
            else:
                others.append(words)
    if process.returncode:
        raise _why_not_installed("the packages", "\n".join(others))
    return installed


def _warm_up(uv: str, environment: dict[str, str]) -> None:
    """Import what a notebook will, once, while JupyterLab starts and the reader's browser loads it.

    The first import of new packages compiles them, and matplotlib looks for fonts: 3 s in all.
    """
    subprocess.Popen(
        [uv, "run", "--no-sync", "python", "-c", WARM_UP],
        env=environment,
        cwd=str(HERE),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _why_not_installed(what: str, words: str) -> CannotStartError:
    """Return the error that says in one line why something could not be installed."""
    if NO_SPACE.search(words):
        return CannotStartError(
            f"{what} could not be installed: the disk of {HERE}, or of your home folder, is full; "
            "make room for 1 GB, and start again"
        )
    if NO_NETWORK.search(words) and not NOT_TRUSTED.search(words):
        return CannotStartError(
            f"{what} could not be downloaded: the package index does not answer; "
            "check your network and proxy, and start again"
        )
    sys.stderr.write(f"{words.rstrip()}\n")
    return CannotStartError(f"{what} could not be installed, for the reason above")


def _run(command: list[str], environment: dict[str, str]) -> None:
    if os.name == "nt":  # exec would give the window back there while the command runs
        sys.exit(subprocess.call(command, env=environment, cwd=str(HERE)))
    os.chdir(HERE)
    os.execve(command[0], command, environment)


def _say(words: object) -> None:
    sys.stderr.write(f"start: {words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (CannotStartError, OSError) as error:
        _say(error)
        sys.exit(1)
    except KeyboardInterrupt:
        _say("stopped; start it again to continue")
        sys.exit(130)
