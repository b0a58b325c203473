"""Where the notebooks are: in a clone of the project, not in the installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kst_workbook.errors import WorkbookError

FIRST_NOTEBOOK: Final = "00_start_here.ipynb"
CHECKOUT: Final = Path(__file__).resolve().parents[3]
"""The clone that this module lies in, when it is run from one."""


def notebooks_folder() -> Path:
    """Return the folder of the notebooks: the clone's, or else the current folder's.

    Raises:
        WorkbookError: when neither holds the first notebook.

    """
    candidates = [CHECKOUT / "notebooks", Path.cwd() / "notebooks", Path.cwd()]
    for folder in candidates:
        if (folder / FIRST_NOTEBOOK).is_file():
            return folder
    raise WorkbookError(
        f"no {FIRST_NOTEBOOK} in {', '.join(map(str, candidates))}; the notebooks come with a "
        "clone of the project: change into it and run this command there"
    )


def find_notebook(name: str) -> Path:
    """Return the notebook of that path, or of that name in the folder of the notebooks.

    Raises:
        WorkbookError: when there is none; the message names those that there are.

    """
    if Path(name).is_file():
        return Path(name)
    folder = notebooks_folder()
    if not (folder / name).is_file():
        raise WorkbookError(
            f"no notebook {name}; write one of {', '.join(path.name for path in all_notebooks())}"
        )
    return folder / name


def all_notebooks() -> list[Path]:
    """Return the notebooks of the workbook in reading order."""
    return sorted(notebooks_folder().glob("*.ipynb"))
