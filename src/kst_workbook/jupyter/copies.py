"""The reader's own copies of the notebooks: renewed while unedited, never overwritten."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_workbook.errors import WorkbookError
from kst_workbook.jupyter.folder import RECORD, notebooks_folder
from kst_workbook.jupyter.versions import language_of, text_of, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE: Final = "KST_WORKBOOK_FOLDER"
"""The environment variable that names another folder."""
FOLDER: Final = "my_notebooks"
WITH_OUTPUTS: Final = "with_outputs"


def copies_folder(*, outputs: bool) -> Path:
    """Return the reader's folder: beside that of the notebooks, unless the variable names another.

    Copies with outputs are in a folder of their own in it.

    Raises:
        WorkbookError: when it is the folder of the notebooks themselves, one in it, or the one
            that it is in.

    """
    originals = notebooks_folder()
    named = os.environ.get(VARIABLE)
    folder = Path(named).expanduser() if named else originals.parent / FOLDER
    place, taken = folder.resolve(), originals.resolve()
    if place in {taken, taken.parent} or taken in place.parents:
        raise WorkbookError(
            f"{VARIABLE} names {folder}, the place of the original notebooks; name another folder"
        )
    return folder.absolute() / WITH_OUTPUTS if outputs else folder.absolute()


class Copies:
    """A reader's folder, with a record of what was written there: so an edited copy is noticed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = _read_record(folder / RECORD)

    def update(self, fresh: Mapping[str, bytes]) -> list[str]:
        """Write copies that are missing, renew unedited ones; return what the reader should know.

        An edited copy stays, and the new version is written beside it. A copy that was only run is
        not edited: Run All gives its outputs again.

        Raises:
            WorkbookError: when a file cannot be written; no file of the reader's is lost.

        """
        there = {path for path in fresh if self._is_taken(path)}
        with self._writing():
            written = {path: self._place(path, content) for path, content in sorted(fresh.items())}
        beside = {path: name for path, name in written.items() if name not in {None, path}}
        renewed = [path for path in there if written[path] == path]
        return [
            *([] if there else [f"made your own copies of the notebooks in {self.folder}"]),
            *([f"a new version replaces your unedited {_listed(renewed)}"] if renewed else []),
            *(f"you edited {path}; the new version is {name}" for path, name in beside.items()),
        ]

    def reset(self, path: str, content: bytes) -> str:
        """Put one copy back, and keep what was there beside it; return what was done.

        Raises:
            WorkbookError: when a file cannot be written; no file of the reader's is lost.

        """
        kept = ""
        with self._writing():
            if self._is_taken(path) and self._read(path) != content:
                kept = next(name for name in _names(path, "before") if not self._is_taken(name))
                (self.folder / path).rename(self.folder / kept)
            self._write(path, content)
            self._remove_same(next(_names(path, "new")), content)
        return f"{path} is put back" + (f"; what was there is now {kept}" if kept else "")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Keep the record; say in one line why something cannot be written."""
        before = json.dumps(self._record)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
            if json.dumps(self._record) != before:
                _write_whole(self.folder / RECORD, json.dumps(self._record, indent=1).encode())
        except OSError as error:
            reason = "it is a file" if self.folder.is_file() else error.strerror
            raise WorkbookError(
                f"your copies of the notebooks cannot be kept in {self.folder} ({reason}); "
                f"set {VARIABLE} to a folder of yours with room in it"
            ) from None

    def _place(self, path: str, content: bytes) -> str | None:
        """Write a copy, unless it is there, and over nothing edited; return the name it got."""
        for name in chain([path], _names(path, "new")):
            is_there = self._is_taken(name)
            is_outdated = is_there and self._is_outdated(name, content)
            if self._is_current(name, content) and not is_outdated and (is_there or name != path):
                return None  # a new version that is not there was deleted by its reader
            if is_outdated or not is_there:
                self._write(name, content)
                return name
        raise AssertionError  # the names do not end

    def _is_outdated(self, name: str, content: bytes) -> bool:
        """Tell whether a copy is unedited and of another version, or for another kernel."""
        there, written = self._read(name), self._record.get(name, {})
        if there == content:
            self._note(name, content)
            return False
        is_unedited = text_of(name, there) in {written.get("text"), text_of(name, content)}
        is_for_this_kernel = language_of(name, there) == language_of(name, content)
        return is_unedited and not (self._is_current(name, content) and is_for_this_kernel)

    def _is_current(self, name: str, content: bytes) -> bool:
        """Tell whether this version was the last one to be written under a name."""
        return self._record.get(name, {}).get("version") == version_of(name, content)

    def _remove_same(self, name: str, content: bytes) -> None:
        """Remove the new version beside a copy that is now the same."""
        if self._is_taken(name) and self._read(name) == content:
            (self.folder / name).unlink()
            self._record.pop(name, None)

    def _is_taken(self, name: str) -> bool:
        return (self.folder / name).exists()

    def _read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def _write(self, name: str, content: bytes) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        _write_whole(self.folder / name, content)
        self._note(name, content)

    def _note(self, name: str, content: bytes) -> None:
        self._record[name] = {"version": version_of(name, content), "text": text_of(name, content)}


def _names(path: str, word: str) -> Iterator[str]:
    """Yield names beside a file: 03_triggers.new.ipynb, 03_triggers.new-2.ipynb and so on."""
    stem, _, suffix = path.rpartition(".")
    for number in count(1):
        yield f"{stem}.{word}{'' if number == 1 else f'-{number}'}.{suffix}"


def _listed(paths: list[str]) -> str:
    return ", ".join(sorted(paths))


def _read_record(file: Path) -> dict[str, dict[str, str]]:
    """Return the record; without one, or a whole one, each copy that differs counts as edited."""
    try:
        record = json.loads(file.read_bytes())
        is_whole = all(
            isinstance(fact, str) for facts in record.values() for fact in facts.values()
        )
    except (OSError, ValueError, AttributeError):
        return {}
    return record if is_whole else {}


def _write_whole(file: Path, content: bytes) -> None:
    """Write a file as a whole, or leave it as it was."""
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_bytes(content)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
