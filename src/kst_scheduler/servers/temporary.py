"""Temporary folders that are removed even where their owner was killed: by the next one."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from kst_scheduler.servers.lock import PATIENCE, FolderLock, release, take

_PREFIX: Final = "kst-scheduler-"
_MIN_AGE: Final = 60.0
"""Age in seconds at which a folder that nobody has locked counts as left behind."""


class TemporaryFolder:
    """A folder below ``base``, locked until it is removed.

    Args:
        kind: what it is for, a part of its name.
        base: the system's folder for temporary files where it is None.

    """

    def __init__(self, kind: str, base: Path | None = None) -> None:
        remove_left_behind(base)
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{kind}-", dir=base))
        self.lock = FolderLock(self.path)

    def remove(self) -> None:
        """Remove the folder, in which a server that was killed may still write for a moment."""
        deadline = time.monotonic() + PATIENCE
        self.lock.release()
        while self.path.exists() and time.monotonic() < deadline:
            shutil.rmtree(self.path, ignore_errors=True)
            time.sleep(0.02 if self.path.exists() else 0)


def remove_left_behind(base: Path | None = None) -> None:
    """Remove the temporary folders of this user whose owner was killed before it could."""
    if sys.platform == "win32":
        return  # nothing is locked there
    for folder in Path(base or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            if about.st_uid == os.geteuid() and time.time() - about.st_mtime > _MIN_AGE:
                _remove_unless_held(folder)


def _remove_unless_held(folder: Path) -> None:
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    if take(file):
        shutil.rmtree(folder, ignore_errors=True)
        release(file)
    else:
        os.close(file)
