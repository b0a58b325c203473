"""The folder of a server: locked for one process, and kept or thrown away."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from kst_scheduler.errors import ServerError

if sys.platform != "win32":
    import fcntl

PATIENCE: Final = 10.0
"""Seconds in which a server whose owner has ended must be gone."""
_SETTLED: Final = 60.0
"""Age in seconds from which a temporary folder that nobody holds counts as left behind."""


class ServerFolder:
    """``root/name``: its data, log and password, and the lock that says who uses it."""

    def __init__(self, name: str, folder: str | Path | None) -> None:
        self.kept = folder is not None
        prefix = f"kst-scheduler-{name}-"
        if folder is None:
            _remove_left_behind(prefix, name)
        self.root = Path(folder or tempfile.mkdtemp(prefix=prefix)).absolute()
        self.path = self.root / name
        self.data = self.path / "data"
        self.log = self.path / "log"
        self.password_file = self.path / "password"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.lock = _lock(self.path / "lock")
        self.password = self._password()

    def _password(self) -> str:
        """Return the folder's password; made once, for a database remembers it."""
        if not self.password_file.exists():
            new = self.password_file.with_suffix(".new")
            new.unlink(missing_ok=True)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - never readable by others, not even for a moment
                file.write(secrets.token_hex(16))
            new.rename(self.password_file)
        return self.password_file.read_text(encoding="ascii")

    def close(self) -> None:
        """Give the folder back, or throw it away."""
        if not self.kept:
            _remove(self.root)
        if self.lock is not None:
            os.close(self.lock)


def _remove(root: Path) -> None:
    """Remove a folder in which a killed server may still write for a moment."""
    deadline = time.monotonic() + PATIENCE
    while root.exists() and time.monotonic() < deadline:
        shutil.rmtree(root, ignore_errors=True)
        if root.exists():
            time.sleep(0.02)


def _lock(path: Path) -> int | None:
    """Lock a folder for this process and for the servers that inherit the descriptor.

    A server that was killed a moment ago, with its owner, is waited for.
    """
    if sys.platform == "win32":
        return None  # PostgreSQL refuses a second server on its data by itself
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + PATIENCE
    while not _locked(file):
        holder = os.pread(file, 20, 0).decode()
        if _lives(holder) or time.monotonic() > deadline:
            os.close(file)
            raise ServerError(
                f"the folder {str(path.parent)!r} is in use by process {holder}: stop the server "
                "there, or give this one another folder"
            )
        time.sleep(0.02)
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return file


def _locked(file: int) -> bool:
    """Return whether the lock was free, and is ours now."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: str) -> bool:
    """Return whether there is a process with this number."""
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True


def _remove_left_behind(prefix: str, name: str) -> None:
    """Remove temporary folders whose owner was killed before it could."""
    if sys.platform == "win32":
        return
    for root in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            about = root.lstat()
            if about.st_uid == os.geteuid() and time.time() - about.st_mtime > _SETTLED:
                _remove_unless_held(root, root / name / "lock")


def _remove_unless_held(root: Path, lock: Path) -> None:
    file = os.open(lock, os.O_RDWR)
    try:
        if _locked(file):
            shutil.rmtree(root, ignore_errors=True)
    finally:
        os.close(file)
