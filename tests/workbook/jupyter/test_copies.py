from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from kst_workbook.errors import WorkbookError
from kst_workbook.jupyter import folder
from kst_workbook.jupyter.copies import Copies, copies_folder


def notebook(*sources: str, outputs: tuple[Any, ...] = (), version: str = "3.11.7") -> bytes:
    """Return a notebook of code cells; the first has those outputs."""
    cells = [{"cell_type": "code", "source": source, "outputs": []} for source in sources]
    cells[0]["outputs"] = list(outputs)
    metadata = {"language_info": {"name": "python", "version": version}}
    return json.dumps({"cells": cells, "metadata": metadata}).encode()


FIRST = {"00.ipynb": notebook("1 + 1"), "documents/A.md": b"# A\n"}
SECOND = {"00.ipynb": notebook("1 + 2"), "documents/A.md": b"# B\n"}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Return a reader's folder with the first version; its path has a space and Korean letters."""
    Copies(tmp_path / "내 노트").update(FIRST)
    return tmp_path / "내 노트"


def held(mine: Path) -> dict[str, bytes]:
    """Return the files that a reader sees in a folder."""
    files = [path for path in mine.rglob("*") if path.is_file() and path.name[0] != "."]
    return {path.relative_to(mine).as_posix(): path.read_bytes() for path in files}


def test_the_first_start_makes_the_copies_and_says_where(tmp_path: Path) -> None:
    """One line."""
    notes = Copies(tmp_path / "mine").update(FIRST)
    assert notes == [f"made your own copies of the notebooks in {tmp_path / 'mine'}"]
    assert held(tmp_path / "mine") == FIRST


def test_another_start_changes_nothing_and_says_nothing(mine: Path) -> None:
    """An edited copy stays as it is, too."""
    edited = notebook("1 + 1 == 2")
    (mine / "00.ipynb").write_bytes(edited)
    assert Copies(mine).update(FIRST) == []
    assert held(mine) == {**FIRST, "00.ipynb": edited}


def test_unedited_copies_are_renewed(mine: Path) -> None:
    """A notebook that was only run is not edited."""
    (mine / "00.ipynb").write_bytes(notebook("1 + 1", outputs=("2",)))
    (line,) = Copies(mine).update(SECOND)
    assert line == "a new version replaces your unedited 00.ipynb, documents/A.md"
    assert held(mine) == SECOND


def test_an_edited_copy_stays_and_the_new_version_lies_beside_it(mine: Path) -> None:
    """It is renewed there while nobody edits it; else the next one gets a name of its own."""
    edited = {"00.ipynb": notebook("mine"), "documents/A.md": b"my notes\n"}
    for path, content in edited.items():
        (mine / path).write_bytes(content)
    assert Copies(mine).update(SECOND) == [
        "you edited 00.ipynb; the new version is 00.new.ipynb",
        "you edited documents/A.md; the new version is documents/A.new.md",
    ]
    beside = {"00.new.ipynb": SECOND["00.ipynb"], "documents/A.new.md": SECOND["documents/A.md"]}
    assert held(mine) == edited | beside
    assert Copies(mine).update(SECOND) == []
    (mine / "documents/A.new.md").write_bytes(b"more notes\n")
    third = {"00.ipynb": notebook("1 + 3"), "documents/A.md": b"# C\n"}
    Copies(mine).update(third)
    beside = {"00.new.ipynb": third["00.ipynb"], "documents/A.new.md": b"more notes\n"}
    assert held(mine) == {**edited, **beside, "documents/A.new-2.md": b"# C\n"}


def test_a_new_version_that_its_reader_deletes_does_not_come_back(mine: Path) -> None:
    """The version after it does; a notebook itself that is deleted is made anew."""
    (mine / "00.ipynb").write_bytes(notebook("mine"))
    Copies(mine).update(SECOND)
    (mine / "00.new.ipynb").unlink()
    (mine / "documents/A.md").unlink()
    assert Copies(mine).update(SECOND) == []
    assert held(mine) == {**SECOND, "00.ipynb": notebook("mine")}
    third = {**SECOND, "00.ipynb": notebook("1 + 3")}
    assert Copies(mine).update(third) == ["you edited 00.ipynb; the new version is 00.new.ipynb"]


@pytest.mark.parametrize(
    "damaged",
    ["broken", "[]", '{"00.ipynb": null}', '{"00.ipynb": ["text"]}', '{"00.ipynb": {"text": []}}'],
)
def test_a_damaged_record_loses_nothing(mine: Path, damaged: str) -> None:
    """Each copy that differs counts as edited."""
    (mine / folder.RECORD).write_text(damaged, "utf-8")
    (mine / "00.ipynb").write_bytes(notebook("mine"))
    assert Copies(mine).update(FIRST) == ["you edited 00.ipynb; the new version is 00.new.ipynb"]
    assert (mine / "00.ipynb").read_bytes() == notebook("mine")
    assert Copies(mine).update(FIRST) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"cells": [{"cell_type": "code", "source": 3}]},
        {"cells": [{"cell_type": "code", "source": [1]}]},
        {"cells": ["text"]},
        {"cells": None},
        {"cells": [], "metadata": []},
        [],
    ],
)
def test_a_notebook_of_another_shape_is_the_readers(mine: Path, broken: object) -> None:
    """Nothing is written over it."""
    (mine / "00.ipynb").write_text(json.dumps(broken), "utf-8")
    assert Copies(mine).update(SECOND)[-1] == "you edited 00.ipynb; the new version is 00.new.ipynb"
    assert json.loads((mine / "00.ipynb").read_bytes()) == broken


def test_what_nobody_has_recorded_is_the_readers(mine: Path) -> None:
    """A record that is gone, a notebook that is no JSON: nothing is overwritten."""
    (mine / folder.RECORD).unlink()
    (mine / "00.ipynb").write_bytes(b"<<<<<<< HEAD")
    assert Copies(mine).update(FIRST) == ["you edited 00.ipynb; the new version is 00.new.ipynb"]
    assert (mine / "00.ipynb").read_bytes() == b"<<<<<<< HEAD"


def test_another_python_renews_unedited_notebooks_only(mine: Path) -> None:
    """JupyterLab would take them for changed; an edited one is saved by its reader anyway."""
    newer = {**FIRST, "00.ipynb": notebook("1 + 1", version="3.14.0")}
    assert Copies(mine).update(newer) != []
    assert held(mine) == newer
    edited = notebook("mine")
    (mine / "00.ipynb").write_bytes(edited)
    assert Copies(mine).update(FIRST) == []
    assert (mine / "00.ipynb").read_bytes() == edited


def test_reset_keeps_what_was_there(mine: Path) -> None:
    """Each time under a name of its own, and nothing beside it where nothing has changed."""
    for source, kept in (("one", "00.before.ipynb"), ("two", "00.before-2.ipynb")):
        (mine / "00.ipynb").write_bytes(notebook(source))
        said = Copies(mine).reset("00.ipynb", FIRST["00.ipynb"])
        assert said == f"00.ipynb is put back; what was there is now {kept}"
        assert (mine / "00.ipynb").read_bytes() == FIRST["00.ipynb"]
        assert (mine / kept).read_bytes() == notebook(source)
    assert Copies(mine).reset("00.ipynb", FIRST["00.ipynb"]) == "00.ipynb is put back"


def test_reset_brings_the_new_version(mine: Path) -> None:
    """Which is then no longer beside it, unless its reader has begun to edit it there."""
    (mine / "00.ipynb").write_bytes(notebook("mine"))
    Copies(mine).update(SECOND)
    Copies(mine).reset("00.ipynb", SECOND["00.ipynb"])
    assert held(mine) == {**SECOND, "00.before.ipynb": notebook("mine")}
    assert Copies(mine).update(SECOND) == []


def test_a_full_disk_loses_nothing(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is written as a whole or not at all; one line says why."""

    def write(path: Path, content: bytes) -> int:
        path.write_text(content.decode()[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(WorkbookError, match=r"cannot be kept in .*내 노트 \(No space left on dev"):
        Copies(mine).update(SECOND)
    assert held(mine) == FIRST
    assert not list(mine.rglob("*.part"))


def test_a_file_in_the_folders_place_is_one_line(tmp_path: Path) -> None:
    """It stays."""
    (tmp_path / "mine").write_text("a list", "utf-8")
    with pytest.raises(WorkbookError, match=r"\(it is a file\); set KST_WORKBOOK_FOLDER to"):
        Copies(tmp_path / "mine").update(FIRST)
    assert (tmp_path / "mine").read_text("utf-8") == "a list"


def test_a_folder_that_cannot_be_written_to_is_one_line() -> None:
    """Even root cannot make a folder there."""
    with pytest.raises(WorkbookError, match=r"cannot be kept in /proc/nobody/mine \("):
        Copies(Path("/proc/nobody/mine")).update(FIRST)


def test_the_folder_is_beside_the_notebooks_or_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies with outputs are in a folder in it; the notebooks' own folder is refused."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/00_start_here.ipynb").touch()
    monkeypatch.setattr(folder, "CHECKOUT", tmp_path)
    monkeypatch.delenv("KST_WORKBOOK_FOLDER", raising=False)
    assert copies_folder(outputs=False) == tmp_path / "my_notebooks"
    assert copies_folder(outputs=True) == tmp_path / "my_notebooks/with_outputs"
    monkeypatch.setenv("KST_WORKBOOK_FOLDER", str(tmp_path / "내 것"))
    assert copies_folder(outputs=False) == tmp_path / "내 것"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KST_WORKBOOK_FOLDER", "~/mine")
    assert copies_folder(outputs=False) == tmp_path / "mine"
    for refused in ("notebooks", "notebooks/mine", "."):
        monkeypatch.setenv("KST_WORKBOOK_FOLDER", str(tmp_path / refused))
        with pytest.raises(
            WorkbookError, match="the place of the original notebooks; name another"
        ):
            copies_folder(outputs=False)
