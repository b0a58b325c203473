"""The command kst-workbook: opens the workbook in JupyterLab, renews it, and makes pages of it."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_workbook.errors import WorkbookError
from kst_workbook.jupyter.copies import FOLDER, VARIABLE, Copies, copies_folder
from kst_workbook.jupyter.folder import (
    FIRST_NOTEBOOK,
    all_notebooks,
    find_notebook,
    is_original,
    notebook_named,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

SITE: Final = "site"
OUTPUTS: Final = "--outputs"
HELP: Final = f"""\
usage: kst-workbook [NOTEBOOK] [{OUTPUTS}] [OPTION ...]
       kst-workbook reset NOTEBOOK ... [{OUTPUTS}]
       kst-workbook refresh [-j JOBS] [NOTEBOOK ...]
       kst-workbook page [FOLDER]

Opens your own copies of the notebooks in JupyterLab. They are in the folder {FOLDER},
or in the one that {VARIABLE} names. They have no outputs, and answers
(See) are folded: click on one to read it.

  NOTEBOOK   the notebook to open; without it, {FIRST_NOTEBOOK}
  {OUTPUTS}  open copies with outputs and all answers, in a folder of their own
  OPTION     handed on to JupyterLab, for example --no-browser --port 9999;
             `jupyter lab --help` lists them all
  reset      put copies back as they were made, such as: reset 03; what was there
             is kept beside it
  refresh    run the notebooks (without names: all) and store their outputs;
             see `kst-workbook refresh --help`
  page       make a static site of the notebooks as they are stored, in FOLDER
             (default: {SITE}); no notebook is run

In a container, run it with --ip 0.0.0.0 and publish the port. Your own JupyterLab
settings stay in force.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or the process's own; return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except WorkbookError as error:
        sys.stderr.write(f"kst-workbook: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("kst-workbook: stopped\n")
        return 130


def _run(words: list[str]) -> int:
    if words and words[0] in {"-h", "--help", "help"}:
        sys.stdout.write(HELP)
        return 0
    _need_jupyter()
    if words and words[0] == "reset":
        return _reset(words[1:])
    if words and words[0] == "refresh":
        return _refresh(words[1:])
    if words and words[0] == "page":
        return _page(words[1:])
    return _start(words)


def _need_jupyter() -> None:
    if any(find_spec(name) is None for name in ("jupyterlab", "nbclient")):
        raise WorkbookError(
            "JupyterLab is not installed here; write: pip install 'kst-scheduler[workbook]'"
        )


def _start(words: list[str]) -> int:
    names = [word for word in words if word.endswith(".ipynb")]
    if len(names) > 1 or (words and not words[0].startswith("-") and words[0] not in names):
        raise WorkbookError(
            f"cannot open {' '.join(words)!r}; write one notebook (such as {FIRST_NOTEBOOK}), "
            "or reset, or refresh, or page, or an option that begins with a dash"
        )
    path = find_notebook(names[0] if names else FIRST_NOTEBOOK)
    _check_home()
    if is_original(path):
        path = _updated_copies(outputs=OUTPUTS in words) / path.name
    _launch(path, [word for word in words if word not in {*names, OUTPUTS}])
    return 0


def _updated_copies(*, outputs: bool) -> Path:
    """Return the folder of the reader's copies, all there and as new as they may be."""
    from kst_workbook.jupyter.fresh_copies import fresh_copies  # noqa: PLC0415 - as below

    copies = Copies(copies_folder(outputs=outputs))
    for note in copies.update(fresh_copies(outputs=outputs)):
        sys.stderr.write(f"kst-workbook: {note}\n")
    return copies.folder


def _reset(words: list[str]) -> int:
    from kst_workbook.jupyter.fresh_copies import fresh_copies  # noqa: PLC0415 - as below

    parser = argparse.ArgumentParser(
        prog="kst-workbook reset",
        description="Put copies of yours back as they were made; what was there is kept beside it.",
    )
    parser.add_argument("notebooks", nargs="+", metavar="NOTEBOOK", help="such as 03")
    parser.add_argument(OUTPUTS, action="store_true", help="those with outputs")
    chosen = parser.parse_args(words)
    names = [notebook_named(Path(name).name).name for name in chosen.notebooks]
    copies = Copies(copies_folder(outputs=chosen.outputs))
    fresh = fresh_copies(outputs=chosen.outputs)
    for name in names:
        sys.stdout.write(f"{copies.reset(name, fresh[name])}\n")
    return 0


def _check_home() -> None:
    from kst_workbook.jupyter.lab import check_state_folder  # noqa: PLC0415 - as below

    check_state_folder()


def _launch(notebook: Path, options: Sequence[str]) -> None:
    from kst_workbook.jupyter.lab import start_lab  # noqa: PLC0415 - --help answers without it

    start_lab(notebook, options)


def _refresh(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="kst-workbook refresh",
        description="Run notebooks in place and store their outputs. A second run changes no "
        "byte; where a cell fails, the file stays as it was.",
    )
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="default: all")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="how many at once (default 1)")
    chosen = parser.parse_args(words)
    paths = [find_notebook(name) for name in chosen.notebooks] or all_notebooks()
    with ThreadPoolExecutor(max(1, chosen.jobs)) as pool:
        outcomes = list(pool.map(_refresh_one, paths))
    return 0 if all(outcomes) else 1


def _refresh_one(path: Path) -> bool:
    from kst_workbook.jupyter.refresh import refresh  # noqa: PLC0415 - starting needs no nbclient

    try:
        changed = refresh(path)
    except WorkbookError as error:
        sys.stderr.write(f"kst-workbook: {error}\n")
        return False
    sys.stdout.write(f"{path.name}: {'outputs renewed' if changed else 'unchanged'}\n")
    return True


def _page(words: list[str]) -> int:
    from kst_workbook.page import build_site, write_site  # noqa: PLC0415 - as above

    parser = argparse.ArgumentParser(
        prog="kst-workbook page",
        description="Make a static site of the notebooks as they are stored; none is run. The "
        "folder is written anew each time, and left alone where it has other files.",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path(SITE), metavar="FOLDER")
    folder = parser.parse_args(words).folder
    site = build_site(all_notebooks())
    write_site(folder, site)
    pages = sum(path.endswith(".html") for path in site)
    sys.stdout.write(f"{folder / 'index.html'}: the first of {pages} pages\n")
    return 0
