from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kst_workbook.exercises import progress_file as progress_module
from kst_workbook.exercises.progress_file import VARIABLE, note, progress_file, recorded_progress
from kst_workbook.jupyter.refresh import ENVIRONMENT


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep progress in a new file, as a new kernel would."""
    path = tmp_path / "data" / "progress.sqlite3"
    monkeypatch.setenv(VARIABLE, str(path))
    new_kernel(monkeypatch)
    return path


def new_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this process has seen."""
    monkeypatch.setattr(progress_module, "_seen_here", {})


def test_it_outlives_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once solved, an exercise stays so, though a later attempt is wrong."""
    assert note("3.1", solved=False) == []
    assert note("3.2", solved=True) == []
    new_kernel(monkeypatch)
    note("3.2", solved=False)
    assert recorded_progress() == ({"3.1": False, "3.2": True}, [])


def test_two_windows_lose_nothing(file: Path) -> None:
    """Two processes that write at the same time wait for each other."""
    code = (
        "from kst_workbook.exercises.progress_file import note\n"
        "notes = [note(f'{{}}.{place}', solved=True) for place in range(20)]\n"
        "assert notes == [[]] * 20, notes"
    )
    windows = [
        subprocess.Popen([sys.executable, "-c", code.replace("{{}}", str(notebook))])  # noqa: S603
        for notebook in (3, 4)
    ]
    assert [window.wait(60) for window in windows] == [0, 0]
    assert len(recorded_progress()[0]) == 40
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("content", [b"not a database at all, but text", b"\0" * 4096])
def test_a_broken_file_is_kept_aside(file: Path, content: bytes) -> None:
    """A new one is begun, with what this kernel knows, and the reader is told once."""
    file.parent.mkdir()
    file.write_bytes(content)
    (said,) = note("3.1", solved=True)
    aside = file.with_name(f"{file.name}.broken-1")
    assert f"It is kept as {aside}, and a new one is begun." in said
    assert aside.read_bytes() == content
    assert note("3.2", solved=True) == []
    file.write_bytes(content)
    assert "broken-2" in note("3.3", solved=True)[0]
    assert recorded_progress()[0] == {"3.1": True, "3.2": True, "3.3": True}


def test_another_s_database_is_kept_aside(file: Path) -> None:
    """Nothing is written into what is not ours, or is of a newer version."""
    file.parent.mkdir()
    for words in ("CREATE TABLE notes (text)", "PRAGMA user_version = 2"):
        with sqlite3.connect(file) as database:
            database.execute(words)
        database.close()
        assert "was broken (its version is" in note("3.1", solved=True)[0]


def test_where_nothing_can_be_written_it_lasts_as_long_as_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only home is no error, and said."""
    (tmp_path / "home").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "home" / "progress.sqlite3"))
    (said,) = note("3.1", solved=True)
    assert "cannot be kept in" in said
    assert VARIABLE in said
    found, (again,) = recorded_progress()
    assert found == {"3.1": True}
    assert again == said


def test_a_file_that_cannot_be_changed_is_read_or_left(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not broken, so it is not put aside."""
    note("3.1", solved=True)
    monkeypatch.setattr(progress_module, "_SECONDS_TO_WAIT", 0.01)
    with sqlite3.connect(file) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "database is locked" in note("3.2", solved=True)[0]
    other.close()
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert note("3.3", solved=True) == []
    assert recorded_progress()[0] == {"3.1": True, "3.2": True, "3.3": True}


def test_it_is_kept_in_the_user_s_folder_for_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each system's own; and in no file at all, where the variable is empty."""
    monkeypatch.delenv(VARIABLE)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    name = Path("kst-scheduler") / "workbook-progress.sqlite3"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert progress_file() == tmp_path / name
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert progress_file() == Path.home() / "Library" / "Application Support" / name
    monkeypatch.setattr(sys, "platform", "linux")
    assert progress_file() == Path.home() / ".local" / "share" / name
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert progress_file() == tmp_path / name
    monkeypatch.setenv(VARIABLE, "")
    assert progress_file() is None


def test_no_test_run_and_no_refresh_touches_the_reader_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both set the variable for every kernel that they start."""
    monkeypatch.undo()
    assert progress_file() is None
    assert ENVIRONMENT[VARIABLE] == ""
