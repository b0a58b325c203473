from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kst_workbook.errors import WorkbookError
from kst_workbook.jupyter.refresh import MACHINE_PATH, refresh

if TYPE_CHECKING:
    from pathlib import Path

RAISES = {"tags": ["raises-exception"]}


def code(source: str, **metadata: Any) -> dict[str, Any]:
    """Return a code cell as an editor leaves it before its first run: without an id."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }


def write(path: Path, *cells: dict[str, Any]) -> Path:
    """Write a notebook with an editor's own metadata and without a newline at its end."""
    metadata = {"kernelspec": {"display_name": "x", "name": "other"}, "widgets": {}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def outputs(path: Path) -> list[list[dict[str, Any]]]:
    """Return the stored outputs of each cell."""
    return [cell["outputs"] for cell in json.loads(path.read_text("utf-8"))["cells"]]


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook that does much of what makes outputs differ, refreshed twice."""
    path = write(
        tmp_path_factory.mktemp("book") / "lesson.ipynb",
        code("import os, sys\nprint('a'); print('b', file=sys.stderr); print('c')", scrolled=True),
        code("{'x', 'y', 'z'}, os.environ['TQDM_DISABLE'], os.path.basename(os.getcwd())"),
        code("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"),
        code("import ipywidgets\nipywidgets.IntSlider(3)"),
        code("from kst_scheduler.timezone import kst\nkst(0, 0, 0)", **RAISES, reason="on purpose"),
    )
    assert refresh(path)
    first = path.read_bytes()
    assert not refresh(path)
    assert path.read_bytes() == first
    return path


def test_a_second_run_changes_no_byte(refreshed: Path) -> None:
    """The fixture asserts it; and the file ends in a newline, as git likes it."""
    assert refreshed.read_bytes().endswith(b"}\n")


def test_streams_are_merged_and_cells_counted(refreshed: Path) -> None:
    """Each stream is one output, and the counts are those of Run All."""
    assert [(output["name"], output["text"]) for output in outputs(refreshed)[0]] == [
        ("stdout", ["a\n", "c\n"]),
        ("stderr", ["b\n"]),
    ]
    cells = json.loads(refreshed.read_text("utf-8"))["cells"]
    assert [cell["execution_count"] for cell in cells] == [1, 2, 3, 4, 5]


def test_the_kernel_runs_in_the_folder_of_the_notebook_with_progress_bars_off(
    refreshed: Path,
) -> None:
    """Relative paths work as in JupyterLab."""
    shown = outputs(refreshed)[1][0]["data"]["text/plain"][0]
    assert shown == f"({{'x', 'y', 'z'}}, '1', '{refreshed.parent.name}')"


def test_pictures_are_stored_and_widgets_as_text_only(refreshed: Path) -> None:
    """A widget's model has a random name that means nothing once its kernel is gone."""
    _, _, picture, widget, _ = outputs(refreshed)
    assert "image/png" in picture[0]["data"]
    assert widget[0]["data"] == {"text/plain": ["IntSlider(value=3)"]}


def test_metadata_is_the_same_for_every_author(refreshed: Path) -> None:
    """The kernelspec is the common one; of a cell stay its tags and the reason for them."""
    notebook = json.loads(refreshed.read_text("utf-8"))
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert sorted(notebook["metadata"]) == ["kernelspec", "language_info"]
    assert notebook["cells"][0]["metadata"] == {}
    assert notebook["cells"][4]["metadata"] == {**RAISES, "reason": "on purpose"}


def test_a_traceback_names_files_by_their_package(refreshed: Path) -> None:
    """Where the package is installed is left out."""
    traceback = "\n".join(outputs(refreshed)[4][0]["traceback"])
    assert "kst_scheduler/timezone.py" in traceback
    assert not MACHINE_PATH.search(traceback)


def test_a_failing_cell_is_named_and_the_file_stays_as_it_was(tmp_path: Path) -> None:
    """The message has the notebook, the cell, and a traceback without colours."""
    path = write(tmp_path / "fails.ipynb", code("x = 1"), code("x / 0"))
    before = path.read_bytes()
    with pytest.raises(WorkbookError, match=r"fails.ipynb, cell 2 \('x / 0'\)") as caught:
        refresh(path)
    assert str(caught.value).endswith("ZeroDivisionError: division by zero")
    assert "\x1b" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_cell_that_takes_too_long_is_named(tmp_path: Path) -> None:
    """The time limit is one for each cell."""
    path = write(tmp_path / "slow.ipynb", code("import time\ntime.sleep(60)"))
    with pytest.raises(WorkbookError, match=r"slow.ipynb, cell 1 .*timed out"):
        refresh(path, cell_timeout=1)


def test_an_output_with_a_path_of_this_machine_is_refused(tmp_path: Path) -> None:
    """A reader's machine would show another one, and nbval would fail there."""
    path = write(tmp_path / "path.ipynb", code("x = 1"), code("import json\njson.__file__"))
    before = path.read_bytes()
    with pytest.raises(WorkbookError, match=r"cell 2 .*path of this machine, .*json/__init__.py"):
        refresh(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "/home/minji/service.py",
        "('/tmp/ipykernel_1/1.py', 3)",
        "File /Users/x/a.py:3",
        r"C:\Users\x",
        "venv/lib/python3.13/asyncio/runners.py:118",
        "../site-packages/apscheduler/util.py",
    ],
)
def test_paths_of_one_machine_are_recognised(text: str) -> None:
    """Home and temporary folders, and installed libraries."""
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "text", ["https://example.com/home/x", "apscheduler/util.py:40", "03:00/12:00", "./tmp/x"]
)
def test_what_is_the_same_everywhere_is_no_machine_path(text: str) -> None:
    """Addresses, package files and relative paths pass."""
    assert not MACHINE_PATH.search(text)
