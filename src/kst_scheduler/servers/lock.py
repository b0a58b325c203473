"""One process at a time for a folder; the lock is gone when the process and its servers are."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import ServerError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE: Final = 10.0
"""Seconds in which what is left of a process that was killed must be gone."""
_ALIVE_PATIENCE: Final = 1.0
"""Seconds in which a process that was killed may still look alive."""


class FolderLock:
    """The lock of a folder, the file ``lock`` in it, which also names the process.

    On Windows it locks nothing: PostgreSQL itself refuses a second server on its data there.

    Raises:
        ServerError: when another process holds it, or this one for another server.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._acquire()
        except BaseException:
            os.close(self._file)
            raise

    def _acquire(self) -> None:
        """Take the lock, once the servers of a process that was killed have let go of it."""
        begin = time.monotonic()
        while not take(self._file):
            holder = os.read(self._file, 20).decode()
            os.lseek(self._file, 0, os.SEEK_SET)
            if time.monotonic() - begin > (_ALIVE_PATIENCE if _is_alive(holder) else PATIENCE):
                raise ServerError(
                    f"the folder {str(self._folder)!r} is in use by process {holder}: stop the "
                    "server there first, or give this one another folder"
                )
            time.sleep(0.02)
        os.ftruncate(self._file, 0)
        os.write(self._file, str(os.getpid()).encode())

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a server inherits, so that the folder stays locked until it has ended, too."""
        return () if sys.platform == "win32" else (self._file,)

    def release(self) -> None:
        """Give the folder back."""
        release(self._file)


def take(file: int) -> bool:
    """Take the lock on an open file; return whether it was free."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def release(file: int) -> None:
    """Unlock a file, in forked children as well, and close it."""
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)


def _is_alive(pid: str) -> bool:
    """Return whether there is a process with this number."""
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True
