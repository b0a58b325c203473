"""Where the notebooks are: in a clone of the project, not in the installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kst_workbook.errors import WorkbookError

FIRST_NOTEBOOK: Final = "00_start_here.ipynb"
CHECKOUT: Final = Path(__file__).resolve().parents[3]
"""The clone that this module lies in, when it is run from one."""

RECORD: Final = ".kst-workbook.json"
"""The file by which a folder of a reader's copies is known."""


def notebooks_folder() -> Path:
    """Return the folder of the notebooks: the clone's, or else the current folder's.

    Raises:
        WorkbookError: when neither holds the first notebook.

    """
    candidates = [CHECKOUT / "notebooks", Path.cwd() / "notebooks", Path.cwd()]
    for folder in candidates:
        if (folder / FIRST_NOTEBOOK).is_file() and not (folder / RECORD).exists():
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
    return Path(name) if Path(name).is_file() else notebook_named(name)


def notebook_named(name: str) -> Path:
    """Return the notebook of that file name, with or without its end, or of that number.

    Raises:
        WorkbookError: when there is none; the message names those that there are.

    """
    paths = all_notebooks()
    for path in paths:
        number = path.name.partition("_")[0]
        if name in {path.name, path.stem, number, number.lstrip("0") or "0"}:
            return path
    raise WorkbookError(
        f"no notebook {name}; write one of {', '.join(path.name for path in paths)}"
    )


def is_original(path: Path) -> bool:
    """Tell whether a file is one of the workbook's notebooks, and not a copy or another file."""
    try:
        return path.resolve().parent == notebooks_folder().resolve()
    except WorkbookError:
        return False


def all_notebooks() -> list[Path]:
    """Return the notebooks of the workbook in reading order."""
    return sorted(notebooks_folder().glob("*.ipynb"))
