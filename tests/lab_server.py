"""JupyterLab as a reader starts it, with kst-workbook, but with a home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

import matplotlib as mpl
import psutil

from kst_scheduler.servers.child import spawn
from kst_scheduler.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN: Final = "for-this-test-only"  # noqa: S105 - of a server that the test starts and stops
COMMAND: Final = Path(sysconfig.get_path("scripts")) / "kst-workbook"


@contextmanager
def running_lab(
    notebook: Path | None, home: Path, *options: str, **environment: str
) -> Iterator[str]:
    """Start kst-workbook on a notebook and its folder, and stop it; yield its address.

    Without a notebook it opens the reader's copies.

    What it would otherwise keep for the user is in ``home``. At the end neither it nor a kernel
    is left.
    """
    port = free_port()
    named = [str(notebook)] if notebook else []
    fixed = ["--no-browser", f"--port={port}", f"--IdentityProvider.token={TOKEN}"]
    server = spawn(
        [str(COMMAND), *named, *fixed, "--ServerApp.port_retries=0", *options],
        ends_by=signal.SIGTERM,  # upon which it ends its kernels, too
        cwd=home,
        env=own_environment(home) | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(server)


def own_environment(home: Path) -> dict[str, str]:
    """Return this process's environment with that home, no reader's progress, and SVGs."""
    own = {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own |= {f"JUPYTERLAB_{kind}_DIR": str(home / kind) for kind in ("SETTINGS", "WORKSPACES")}
    own |= {"HOME": str(home), "KST_WORKBOOK_PROGRESS": str(home / "progress.sqlite3")}
    own["KST_PICTURES"] = ""
    # Each kernel with a new home would look through all fonts again.
    return {**os.environ, **own, "MPLCONFIGDIR": mpl.get_cachedir()}


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server, and prove that its kernels, and what they started, ended with it."""
    family = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
    server.terminate()
    try:
        server.wait(timeout=30)
    finally:
        left = [process for process in psutil.wait_procs(family, timeout=10)[1] if _works(process)]
        names = [" ".join(process.cmdline()) for process in left]
        server.kill()
        for process in left:
            process.kill()
    assert not names, f"processes outlived JupyterLab: {names}"


def _works(process: psutil.Process) -> bool:
    """Tell a process from one that has ended, and that nobody has asked about since."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def fetch(url: str, sent: bytes | None = None) -> Any:
    """Return what the server answers, to a POST where something is sent."""
    headers = {"Authorization": f"token {TOKEN}"}
    request = Request(url, sent, headers)  # noqa: S310 - loopback
    with urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def wait_until_it_answers(url: str, server: subprocess.Popen[Any]) -> None:
    """Ask until the server answers; fail when it has ended, or after five minutes."""
    deadline = time.monotonic() + 300
    while True:
        try:
            fetch(f"{url}/api/status")
        except URLError:
            assert server.poll() is None, "kst-workbook ended before it answered"
            assert time.monotonic() < deadline, "kst-workbook did not answer within five minutes"
            time.sleep(0.05)
        else:
            return
