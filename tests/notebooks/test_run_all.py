"""Run All sends every cell at once; nbval sends one at a time, and so does not see what hangs."""

from __future__ import annotations

from pathlib import Path
from queue import Empty
from time import monotonic

import nbformat
import pytest
from kernels import running_kernel
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from kst_scheduler.workbook.refresh import name_cell

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
CELL_LIMIT = 60.0
"""Seconds after which a cell counts as hanging."""


def run_all(path: Path, cell_limit: float) -> None:
    """Queue all cells of a notebook, as JupyterLab does, and fail where one does not end well."""
    notebook = nbformat.read(path, as_version=4)
    with running_kernel(path.parent) as client:
        waiting = {
            client.execute(cell.source, stop_on_error=not may_fail(cell)): (number, cell)
            for number, cell in enumerate(notebook.cells, start=1)
            if cell.cell_type == "code" and cell.source.strip()
        }
        while waiting:
            number, cell = next(iter(waiting.values()))
            try:
                reply = client.get_shell_msg(timeout=cell_limit)
            except Empty:
                pytest.fail(
                    f"{name_cell(path.name, number, cell)} has not ended after {cell_limit:g} s; "
                    f"cells that wait behind it: {len(waiting) - 1}"
                )
            number, cell = waiting.pop(reply["parent_header"]["msg_id"], (0, None))
            content = reply["content"]
            if cell is not None and content["status"] != "ok" and not may_fail(cell):
                pytest.fail(
                    f"{name_cell(path.name, number, cell)}: {content.get('ename', 'aborted')}: "
                    f"{content.get('evalue', '')}"
                )


def may_fail(cell: nbformat.NotebookNode) -> bool:
    """Return whether the notebook says that this cell raises."""
    return "raises-exception" in cell.metadata.get("tags", [])


def write(path: Path, *cells: nbformat.NotebookNode) -> Path:
    """Write a notebook of these cells."""
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_of_a_notebook_ends_when_all_are_queued(path: Path) -> None:
    """Run All ends, and no cell fails that does not say so."""
    run_all(path, CELL_LIMIT)


def test_queued_cells_that_end_are_accepted(tmp_path: Path) -> None:
    """Top-level await, an expected error, and what follows them, all pass."""
    waits = "import asyncio\nawait asyncio.sleep(0.01)"
    expected = new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    cells = new_markdown_cell("# T"), new_code_cell(waits), expected, new_code_cell(waits)
    run_all(write(tmp_path / "good.ipynb", *cells), CELL_LIMIT)


def test_a_cell_that_hangs_is_noticed_and_named(tmp_path: Path) -> None:
    """The message names the cell that hangs, not one that waits behind it, and comes in time."""
    hanging = new_code_cell("import asyncio\nawait asyncio.Event().wait()")
    last = new_code_cell("print('never')")
    notebook = write(tmp_path / "hangs.ipynb", new_code_cell("x = 1"), hanging, last)
    began = monotonic()
    with pytest.raises(pytest.fail.Exception, match=r"hangs.ipynb, cell 2 .*behind it: 1$"):
        run_all(notebook, cell_limit=1.5)
    assert monotonic() - began < 30


def test_a_cell_that_fails_is_noticed_and_named(tmp_path: Path) -> None:
    """An error that no tag announces fails, with its name and value."""
    notebook = write(tmp_path / "fails.ipynb", new_code_cell("x = 1"), new_code_cell("x / 0"))
    with pytest.raises(
        pytest.fail.Exception, match=r"cell 2 .*ZeroDivisionError: division by zero"
    ):
        run_all(notebook, CELL_LIMIT)
