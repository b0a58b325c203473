"""Readers run the notebooks with other tools than ours, and in other folders."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

ROOT: Final = Path(__file__).parents[2]
NOTEBOOKS: Final = sorted((ROOT / "notebooks").glob("*.ipynb"))
FAST: Final = ROOT / "notebooks" / "01_install.ipynb"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[] if path == FAST else pytest.mark.long)
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_runs_in_another_folder(path: Path) -> None:
    """By nbclient as it comes, with the kernel that the notebook names; an editor may do the same.

    A cell that fails is an error of nbclient, unless it has the tag.
    """
    notebook = nbformat.read(path, as_version=4)
    kernel = notebook.metadata.kernelspec.name
    resources = {"metadata": {"path": str(ROOT)}}
    client = NotebookClient(notebook, timeout=120, kernel_name=kernel, resources=resources)
    asyncio.run(client.async_execute())
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_jupyter_execute_runs_a_notebook() -> None:
    """It reads the kernel and the tags of cells that fail; the file stays as it was."""
    before = FAST.read_bytes()
    program = Path(sysconfig.get_path("scripts"), "jupyter-execute")
    done = subprocess.run(  # noqa: S603 - nbclient's command, on a notebook of ours
        [program, FAST], cwd=ROOT, capture_output=True, check=False, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert FAST.read_bytes() == before


def test_nbval_runs_without_xdist(tmp_path: Path) -> None:
    """As CONTRIBUTING.md has it: the options of pytest-xdist in pyproject.toml are no obstacle."""
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1")]), tmp_path / "sum.ipynb")
    without = ["-p", "no:xdist", "-p", "no:cacheprovider"]
    ours = [*without, "-c", f"{ROOT / 'pyproject.toml'}", "-p", "conftest"]
    done = subprocess.run(  # noqa: S603 - pytest, on the notebook above
        [sys.executable, "-m", "pytest", *ours, "--nbval", tmp_path, "-n", "0"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
