from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kst_scheduler.servers.temporary import TemporaryFolder, remove_left_behind

if TYPE_CHECKING:
    from pathlib import Path

LONG_AGO = 1_000_000_000


def test_a_folder_is_removed_with_what_is_in_it(temporary: Path) -> None:
    """It lies in the system's folder for temporary files, for its owner only."""
    folder = TemporaryFolder("valkey")
    assert folder.path.parent == temporary
    assert folder.path.name.startswith("kst-scheduler-valkey-")
    assert folder.path.stat().st_mode & 0o777 == 0o700
    (folder.path / "file").write_text("")
    folder.remove()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed(temporary: Path) -> None:
    """A folder that is old, and locked by nobody, goes when the next one is made."""
    left = TemporaryFolder("valkey")
    (left.path / "file").write_text("")
    left.lock.release()
    os.utime(left.path, (LONG_AGO, LONG_AGO))
    new = TemporaryFolder("postgresql")
    assert list(temporary.iterdir()) == [new.path]
    new.remove()


def test_what_is_in_use_stays(temporary: Path) -> None:
    """A folder that is locked, or was made a moment ago, is left alone; so is all else."""
    locked, fresh = TemporaryFolder("valkey"), TemporaryFolder("valkey")
    fresh.lock.release()
    other = temporary / "somebody-elses"
    other.mkdir()
    for path in (locked.path, other):
        os.utime(path, (LONG_AGO, LONG_AGO))
    remove_left_behind()
    assert set(temporary.iterdir()) == {locked.path, fresh.path, other}
    locked.remove()
