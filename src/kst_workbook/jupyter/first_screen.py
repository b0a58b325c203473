"""How JupyterLab is laid out when a reader's folder is opened for the first time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from jupyterlab_server.workspaces_handler import WorkspacesManager

if TYPE_CHECKING:
    from pathlib import Path

WORKSPACES: Final = ".jupyterlab"
"""The folder, in the reader's, in which JupyterLab keeps its layout from one start to the next."""

LAYOUT: Final[dict[str, Any]] = {
    "left": {"collapsed": False, "visible": True, "current": "@jupyterlab/toc:plugin"},
    "right": {"collapsed": True, "visible": True},
    "relativeSizes": [0.2, 0.8, 0],
}
"""The contents of the notebook are open on the left, and not the file browser (JupyterLab 4.6)."""


def lay_out(folder: Path) -> Path:
    """Write the first layout of a reader's folder, unless there is one; return where it is kept."""
    workspaces = folder / WORKSPACES
    if not workspaces.exists():
        layout = {"data": {"layout-restorer:data": LAYOUT}, "metadata": {"id": "default"}}
        WorkspacesManager(str(workspaces)).save("default", json.dumps(layout))
    return workspaces
