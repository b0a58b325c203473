from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.errors import ServerError
from kst_scheduler.servers import lock
from kst_scheduler.servers.lock import FolderLock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from kst_scheduler.servers.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    """A second lock on a folder is refused by name and process, until the first is given back."""
    first = FolderLock(tmp_path)
    with pytest.raises(ServerError, match=rf"'{tmp_path}' is in use by process {os.getpid()}:"):
        FolderLock(tmp_path)
    first.release()
    FolderLock(tmp_path).release()


def test_another_process_holds_it(tmp_path: Path) -> None:
    """The message names that process; once it is killed, the folder is free."""
    with subprocess.Popen(  # noqa: S603 - this very Python
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(ServerError, match=f"in use by process {holder.pid}: stop the server"):
            FolderLock(tmp_path)
        holder.kill()
    FolderLock(tmp_path).release()


def test_servers_of_a_killed_process_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that inherited the lock holds it alone, and has its time to end."""
    first = FolderLock(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=first.descriptors
    ) as server:
        os.close(*first.descriptors)
        (tmp_path / "lock").write_text(str(2**22 + 1))  # no process has that number
        monkeypatch.setattr(lock, "PATIENCE", 0.1)
        with pytest.raises(ServerError, match="in use by process 4194305"):
            FolderLock(tmp_path)
        monkeypatch.setattr(lock, "PATIENCE", 60)
        server.communicate(b"\n")
    FolderLock(tmp_path).release()


def test_a_forked_child_does_not_keep_it(tmp_path: Path) -> None:
    """Whoever else inherited the descriptor, release() frees the folder."""
    first = FolderLock(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=first.descriptors
    ) as child:
        first.release()
        FolderLock(tmp_path).release()
        child.communicate(b"\n")
