from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kst_workbook.errors import WorkbookError
from kst_workbook.jupyter import folder
from kst_workbook.jupyter.folder import all_notebooks, find_notebook, notebooks_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a clone with two notebooks; the module itself lies elsewhere."""
    notebooks = tmp_path / "clone" / "notebooks"
    notebooks.mkdir(parents=True)
    for name in ("03_triggers.ipynb", "00_start_here.ipynb"):
        (notebooks / name).touch()
    monkeypatch.setattr(folder, "CHECKOUT", tmp_path / "site")
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone"


def test_the_notebooks_of_the_current_folder_are_found(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package finds them from the clone's top and from the notebooks' folder."""
    assert notebooks_folder() == clone / "notebooks"
    monkeypatch.chdir(clone / "notebooks")
    assert notebooks_folder() == clone / "notebooks"


def test_the_clone_that_the_package_lies_in_is_found_from_anywhere(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editable install, which uv run makes, needs no current folder."""
    monkeypatch.setattr(folder, "CHECKOUT", clone)
    monkeypatch.chdir(tmp_path)
    assert notebooks_folder() == clone / "notebooks"


@pytest.mark.usefixtures("clone")
def test_a_folder_without_notebooks_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names where it looked and what to do."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkbookError, match=r"no 00_start_here.ipynb in .*clone of the project"):
        notebooks_folder()


@pytest.mark.usefixtures("clone")
def test_notebooks_come_in_reading_order() -> None:
    """The list is in the order of the numbers."""
    assert [path.name for path in all_notebooks()] == ["00_start_here.ipynb", "03_triggers.ipynb"]


def test_a_notebook_is_found_by_path_and_by_name(clone: Path) -> None:
    """The path from here, the bare name, the same without its end, and the number work."""
    expected = clone / "notebooks" / "03_triggers.ipynb"
    for name in ("03_triggers", "03", "3"):
        assert find_notebook(name) == expected
    assert find_notebook("notebooks/03_triggers.ipynb").resolve() == expected.resolve()
    assert find_notebook("03_triggers.ipynb") == expected


@pytest.mark.usefixtures("clone")
def test_a_misspelt_notebook_is_answered_with_the_names_that_exist() -> None:
    """The message lists what could have been written."""
    with pytest.raises(WorkbookError, match=r"no notebook 03_trigger.ipynb; .*, 03_triggers.ipynb"):
        find_notebook("03_trigger.ipynb")
