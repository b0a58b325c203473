"""The folder of a site: written anew each time, and only if nobody else keeps files there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kst_workbook.errors import WorkbookError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LIST: Final = ".kst-workbook-page"
"""The file that lists what this module has written."""


def write_site(folder: Path, site: Mapping[str, bytes]) -> None:
    """Make the folder hold exactly these files, given by their paths in it.

    Raises:
        WorkbookError: when the folder holds a file that this function has not written, or cannot
            be written; nothing is changed then.

    """
    earlier = _written_earlier(folder)
    for path in earlier - set(site):
        (folder / path).unlink(missing_ok=True)
    listed = "".join(f"{path}\n" for path in sorted(site))
    for path, content in {LIST: listed.encode(), **site}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _written_earlier(folder: Path) -> set[str]:
    """Return what of the folder's files was written by an earlier call; all of them must be."""
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise WorkbookError(f"{folder} is a file; write a folder for the pages, or none for site")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    earlier = set((folder / LIST).read_text("utf-8").splitlines()) if LIST in found else set()
    if others := sorted(found - earlier - {LIST}):
        raise WorkbookError(
            f"{folder} holds {len(others)} files that this command has not made, such as "
            f"{others[0]}; write another folder, or move them away"
        )
    return earlier & found
