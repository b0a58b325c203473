"""What a reader's folder holds before the reader has changed anything in it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from ipykernel.ipkernel import IPythonKernel

from kst_workbook.jupyter.copied_links import NOTEBOOKS, place_of, relink
from kst_workbook.jupyter.folder import all_notebooks

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGE: Final[dict[str, Any]] = IPythonKernel.language_info
"""What this kernel says of itself: with anything else in a file, JupyterLab 4.6 takes the notebook
for changed as soon as its kernel has started, and asks on closing it whether to save."""

_SEE: Final = re.compile(r"\*\*See\.\*\*\s*")
_AFTER: Final = re.compile(r"#{1,6} |\*\*(Predict|Run|Repair)\.\*\*")
_FENCE: Final = re.compile(r"\s*(```|~~~)")


def fresh_copies(*, outputs: bool) -> dict[str, bytes]:
    """Return the files of a reader's folder by their paths in it, with slashes.

    They are the notebooks and all files that they link to, directly or through documents. Without
    ``outputs``, the notebooks have none, and each answer (*See*) is folded.
    """
    paths = all_notebooks()
    root = paths[0].resolve().parents[1]
    copies: dict[str, bytes] = {}
    waiting = [NOTEBOOKS + path.name for path in paths]
    while waiting:
        path = waiting.pop()
        if place_of(path) not in copies:
            copies[place_of(path)] = _copy(root, path, waiting, outputs=outputs)
    return copies


def fold_answers(markdown: str) -> str:
    """Return a text with each part from **See.** to the next heading or question folded."""
    lines: list[str] = []
    is_folded = is_code = False
    for line in markdown.split("\n"):
        is_code ^= bool(_FENCE.match(line))
        if is_folded and not is_code and (_SEE.match(line) or _AFTER.match(line)):
            lines += ["</details>", ""]
            is_folded = False
        if _SEE.match(line) and not is_code:
            lines += ["<details><summary>See</summary>", ""]
            is_folded = True
        lines.append(_SEE.sub("", line, count=1) if is_folded else line)
    return "\n".join([*lines, "", "</details>"] if is_folded else lines)


def _copy(root: Path, path: str, waiting: list[str], *, outputs: bool) -> bytes:
    """Return the copy of a file of the repository; what it links to joins those that wait."""

    def wanted(file: str) -> bool:
        if is_there := not file.startswith("..") and (root / file).is_file():
            waiting.append(file)
        return is_there

    content = (root / path).read_bytes()
    if path.endswith(".md"):
        return relink(content.decode(), path, wanted).encode()
    if not path.endswith(".ipynb"):
        return content
    notebook = json.loads(content)
    notebook["metadata"]["language_info"] = LANGUAGE
    for cell in notebook["cells"]:
        if not outputs:
            _hide(cell)
        if cell["cell_type"] == "markdown":
            cell["source"] = relink("".join(cell["source"]), path, wanted)
    return f"{json.dumps(notebook, ensure_ascii=False, indent=1)}\n".encode()


def _hide(cell: dict[str, Any]) -> None:
    """Take away what a reader is to find out."""
    if cell["cell_type"] == "code":
        cell |= {"outputs": [], "execution_count": None}
    elif cell["cell_type"] == "markdown":
        cell["source"] = fold_answers("".join(cell["source"]))
