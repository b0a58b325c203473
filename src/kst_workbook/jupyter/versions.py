"""What tells an edited copy from an unedited one, and a new version from the one before."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def version_of(name: str, content: bytes) -> str:
    """Return a digest of what a new version changes: the cells of a notebook, or the whole file."""
    cells = _notebook(name, content).get("cells")
    return _digest(content if cells is None else json.dumps(cells, sort_keys=True).encode())


def text_of(name: str, content: bytes) -> str:
    """Return a digest of what a reader edits: of a notebook the sources of its cells.

    Outputs are not: what was only run is not edited.
    """
    cells = _notebook(name, content).get("cells")
    if cells is None:
        return _digest(content)
    sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    return _digest(json.dumps(sources).encode())


def language_of(name: str, content: bytes) -> Any:
    """Return what a notebook says of its kernel; None for other files."""
    return _notebook(name, content).get("metadata", {}).get("language_info")


def _notebook(name: str, content: bytes) -> dict[str, Any]:
    """Return a notebook; an empty dict for another file, or for one that is broken."""
    if not name.endswith(".ipynb"):
        return {}
    try:
        notebook: dict[str, Any] = json.loads(content)
        for cell in notebook["cells"]:
            _ = cell["cell_type"], "".join(cell["source"])
        notebook.get("metadata", {}).get("language_info")
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return notebook


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
