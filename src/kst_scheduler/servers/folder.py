"""The folder of a server: its data, log and password; kept or thrown away."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from kst_scheduler.servers.lock import FolderLock
from kst_scheduler.servers.temporary import TemporaryFolder

if TYPE_CHECKING:
    from pathlib import Path


class ServerFolder:
    """What one server has on disk: ``root/name`` with ``data``, ``log`` and ``password``.

    A root that is given is kept. Without one it is a temporary folder, removed by close().
    """

    def __init__(self, name: str, root: Path | None) -> None:
        self.kept = root is not None
        self._temporary: list[TemporaryFolder] = []
        self._lock: FolderLock | None = None
        self.root = self.temporary(name) if root is None else root
        self.path = self.root / name
        self.data = self.path / "data"
        self.log = self.path / "log"
        self.password_file = self.path / "password"

    def open(self) -> None:
        """Make the folder where it is missing, and lock it.

        Raises:
            ServerError: when another process uses it.
            OSError: when it cannot be made or read.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FolderLock(self.path)
        self.password = self._password()

    def _password(self) -> str:
        """Return the folder's password; made once, for a database remembers it."""
        self.password_is_new = not self.password_file.exists()
        if self.password_is_new:
            new = self.path / "password.new"
            new.unlink(missing_ok=True)
            # With its mode from the start: not even for a moment can others read it.
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(file, secrets.token_hex(16).encode())
            os.close(file)
            new.rename(self.password_file)
        return self.password_file.read_text(encoding="ascii")

    @property
    def inherited(self) -> tuple[int, ...]:
        """The descriptors that a server inherits: it holds the locks as long as it runs."""
        locks = [folder.lock for folder in self._temporary]
        locks += [] if self._lock is None else [self._lock]
        return tuple(file for lock in locks for file in lock.descriptors)

    def temporary(self, kind: str, base: Path | None = None) -> Path:
        """Return a new temporary folder, which close() removes."""
        self._temporary.append(TemporaryFolder(kind, base))
        return self._temporary[-1].path

    def close(self) -> None:
        """Give the folder back, and remove what is temporary."""
        if self._lock is not None:
            self._lock.release()
        for folder in self._temporary:
            folder.remove()
