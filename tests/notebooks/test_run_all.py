"""The root's conftest lets nbval send all cells at once, as Run All does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from test_nest_asyncio import AFTERWARDS, APPLY, NESTED

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]


def write(path: Path, *cells: NotebookNode) -> None:
    """Write a notebook of these cells."""
    nbformat.write(new_notebook(cells=list(cells)), path)


def test_nbval_sends_all_cells_at_once(tmp_path: Path) -> None:
    """What hangs only while others wait fails in time; await, and an announced error, do not."""
    hanging = (APPLY, NESTED, *AFTERWARDS)
    write(tmp_path / "hangs.ipynb", *map(new_code_cell, hanging))
    waits = "import asyncio\nawait asyncio.sleep(0.01)"
    tags = {"tags": ["raises-exception", "nbval-ignore-output"]}
    fails = new_code_cell("1 / 0", metadata=tags)
    ends = new_code_cell(waits), fails, new_code_cell(waits)
    write(tmp_path / "ends.ipynb", new_markdown_cell("# T"), *ends)
    options = ["-p", "conftest", "-p", "no:cacheprovider", "-n0", "--nbval-cell-timeout=3", "-rA"]
    done = subprocess.run(  # noqa: S603 - pytest, on the notebooks above
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", *options, tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    said = done.stdout
    assert "Timeout of 3 seconds exceeded" in said, said + done.stderr
    failed = [line for line in said.splitlines() if line.startswith("FAILED")]
    assert failed, said
    assert all("hangs.ipynb" in line for line in failed), failed
    assert said.count("PASSED") >= 3, said
