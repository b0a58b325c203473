from __future__ import annotations

from typing import TYPE_CHECKING

from kst_scheduler.servers.folder import ServerFolder

if TYPE_CHECKING:
    from pathlib import Path


def opened(root: Path | None) -> ServerFolder:
    """Return a folder that is locked and has its password."""
    folder = ServerFolder("valkey", root)
    folder.open()
    return folder


def test_a_password_is_made_once(tmp_path: Path) -> None:
    """The folder keeps it, for its owner only; one that was cut short is made again."""
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "password.new").write_text("half")
    first = opened(tmp_path)
    first.close()
    second = opened(tmp_path)
    second.close()
    assert len(first.password) == 32
    assert second.password == first.password
    assert first.password_file.stat().st_mode & 0o777 == 0o600


def test_another_folder_has_another_password(tmp_path: Path) -> None:
    """No two passwords are the same."""
    folders = [opened(tmp_path / name) for name in ("one", "other")]
    assert folders[0].password != folders[1].password
    for folder in folders:
        folder.close()


def test_only_what_is_temporary_is_removed(tmp_path: Path, temporary: Path) -> None:
    """close() leaves a folder that was asked for, and takes what was made beside it."""
    kept, thrown_away = opened(tmp_path / "kept"), opened(None)
    beside = kept.temporary("programs")
    assert beside.parent == thrown_away.root.parent == temporary
    kept.close()
    thrown_away.close()
    assert kept.password_file.exists()
    assert list(temporary.iterdir()) == []
