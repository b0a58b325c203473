"""Run notebooks in place and store their outputs, so that a second time changes no byte."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from kst_workbook.errors import WorkbookError
from kst_workbook.jupyter.kernel import CurrentInterpreter, use_socket_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENVIRONMENT: Final = {
    "PYTHONHASHSEED": "0",  # the order of a set
    "SOURCE_DATE_EPOCH": "0",  # the date inside a matplotlib SVG
    "TQDM_DISABLE": "1",  # a progress bar shows times
    "KST_PICTURES": "png",  # where a stored notebook is shown, an SVG in it often is not
    "KST_WORKBOOK_PROGRESS": "",  # what has been solved is the reader's own
}
"""What a kernel finds in its environment, for outputs that are the same every time."""

METADATA: Final = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA: Final = {"reason", "tags"}
"""What stays of a cell's metadata; the rest says when and how an editor last showed it."""

MACHINE_PATH: Final = re.compile(
    r"(?<![\w.:/-])(?:/(?:root|home|work|tmp|Users|private|var/folders)/|[A-Z]:\\Users\\)"
    r"[^\s'\"]*|[^\s'\"]*(?:site-packages|lib/python3\.\d+)/[^\s'\"]*"
)
"""A path that exists on one machine only."""

_BINARY: Final = {"image/png", "image/jpeg", "application/pdf"}
_WIDGET_VIEW: Final = "application/vnd.jupyter.widget-view+json"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_LIBRARY_FOLDER: Final = re.compile(
    r"[/~][^\s\x1b'\"]*/(?:site-packages/|lib/python3\.\d+/|(?=kst_scheduler/))"
)


def refresh(path: Path, cell_timeout: int = 120) -> bool:
    """Run a notebook from top to bottom and store its outputs; return whether the file changed.

    ``cell_timeout`` is in seconds. The kernel is the current interpreter, in the notebook's folder.

    Raises:
        WorkbookError: when a cell that is not tagged raises-exception fails, a cell takes too
            long, or an output shows a path of this machine. The file stays as it was.

    """
    before = path.read_text(encoding="utf-8")
    notebook = _read(before)
    # A loop of its own, closed at the end; nbclient's blocking calls leave theirs open.
    asyncio.run(_run(notebook, path, cell_timeout))
    _normalise(notebook)
    _refuse_machine_paths(notebook, path.name)
    after: str = nbformat.writes(notebook).rstrip("\n") + "\n"
    if after != before:
        path.write_text(after, encoding="utf-8", newline="\n")
    return after != before


def output_texts(outputs: list[NotebookNode]) -> Iterator[str]:
    """Yield every text that a cell's outputs hold; pictures are not text."""
    for output in outputs:
        yield from _texts(dict(output))


def name_cell(notebook_name: str, number: int, cell: NotebookNode) -> str:
    """Return what messages call a cell: its place among all cells, from 1, and its first line."""
    first_line = next(iter(cell.source.strip().splitlines()), "")
    return f"{notebook_name}, cell {number} ({first_line!r})"


def _read(text: str) -> NotebookNode:
    """Return the notebook, each cell with an id: nbformat would fill a gap at random."""
    raw = json.loads(text)
    raw["nbformat_minor"] = 5  # the first version with cell ids
    seen: set[str] = set()
    for number, cell in enumerate(raw["cells"], start=1):
        if cell.get("id") in {None, *seen}:
            words = f"{number} {''.join(cell['source'])}"
            cell["id"] = hashlib.sha256(words.encode()).hexdigest()[:8]
        seen.add(cell["id"])
    notebook: NotebookNode = nbformat.reads(json.dumps(raw), as_version=4)
    return notebook


async def _run(notebook: NotebookNode, path: Path, cell_timeout: int) -> None:
    client = NotebookClient(
        notebook,
        timeout=cell_timeout,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    manager = client.create_kernel_manager()
    manager.kernel_spec_manager = CurrentInterpreter()
    use_socket_files(manager)
    async with client.async_setup_kernel(env={**os.environ, **ENVIRONMENT}):
        for number, cell in enumerate(notebook.cells, start=1):
            try:
                await client.async_execute_cell(cell, number - 1)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                reason = _COLOUR.sub("", str(error)).strip()
                raise WorkbookError(f"{name_cell(path.name, number, cell)}: {reason}") from error


def _normalise(notebook: NotebookNode) -> None:
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in CELL_METADATA & cell.metadata.keys()}
        for output in cell.get("outputs", []):
            _normalise_output(output)


def _normalise_output(output: NotebookNode) -> None:
    # The name of a widget's model is random, and without its state JupyterLab shows an error.
    output.get("data", {}).pop(_WIDGET_VIEW, None)
    if output.output_type == "error":  # nbval does not compare tracebacks, so they may be shortened
        output.traceback = [_LIBRARY_FOLDER.sub("", line) for line in output.traceback]


def _refuse_machine_paths(notebook: NotebookNode, notebook_name: str) -> None:
    for number, cell in enumerate(notebook.cells, start=1):
        for text in output_texts(cell.get("outputs", [])):
            if found := MACHINE_PATH.search(text):
                raise WorkbookError(
                    f"{name_cell(notebook_name, number, cell)} shows a path of this machine, "
                    f"{found.group()}; let the cell show something that is the same everywhere"
                )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _BINARY:
                yield from _texts(item)
