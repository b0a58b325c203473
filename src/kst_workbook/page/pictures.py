"""Pictures of outputs: files beside the page, each with words for those who do not see it."""

from __future__ import annotations

import base64
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kst_workbook.page.links import relative_to
from kst_workbook.page.settings import settings_of
from kst_workbook.page.template import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbformat import NotebookNode

_SUFFIXES: Final = {"image/svg+xml": ".svg", "image/png": ".png", "image/jpeg": ".jpg"}
"""The kinds of pictures, the best first."""
_TEXTS: Final = {"text/html", "text/markdown"}
"""What a page shows in place of a picture, if an output has both."""
_SECTION: Final = re.compile(r"^#{1,3}\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class _Shown:
    src: str
    """Relative to the page."""
    alt: str
    size: tuple[int, int] | None
    """Width and height in pixels of the page, if they are known: then the text does not jump."""
    setting: str = ""
    """What the controls of an explorer were set to."""
    said: str = ""
    """What the explorer said to that, as HTML."""


def take_out(path: str, notebook: NotebookNode) -> dict[str, bytes]:
    """Move the pictures of a notebook into files; return these by their paths.

    In its outputs there are then figures, in HTML. ``path`` is where the notebook is, and its
    pictures go into a folder of its name.
    """
    return _Pictures(path).take_out(notebook)


class _Pictures:
    """The pictures of one notebook, numbered from 1 on."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._files: dict[str, bytes] = {}
        self._section = ""
        self._in_section = 0
        self._words: set[str] = set()

    def take_out(self, notebook: NotebookNode) -> dict[str, bytes]:
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                self._note_section(cell.source)
            for output in cell.get("outputs", []):
                self._replace(output)
        return self._files

    def _note_section(self, markdown: str) -> None:
        for found in _SECTION.finditer(markdown):
            self._section, self._in_section = re.sub("[`*]", "", found[1]).strip(), 0

    def _replace(self, output: NotebookNode) -> None:
        data = output.get("data", {})
        kind = next((kind for kind in _SUFFIXES if kind in data), None)
        if kind is None or _TEXTS & data.keys():
            return
        self._in_section += 1
        plain = data.get("text/plain", "")
        about = output.get("metadata", {}).get(kind, {})
        title = about.get("alt", "")
        # Python calls a figure <Figure size ...>, and a title stands in its picture.
        caption = "" if plain.startswith("<") or plain == title else plain
        picture = _bytes_of(data[kind], kind)
        first = _Shown(
            self._add(picture, kind), self._own_words(title or caption), _size(picture, about)
        )
        shown = self._explored(first, plain) or [first]
        group = f"settings-{len(self._files)}"
        html = fill("figure.html.j2", pictures=shown, caption=caption, group=group)
        output.data = {"text/html": html}

    def _own_words(self, words: str) -> str:
        """Return words that no earlier picture has: these, with its place if need be."""
        place = f"{self._section}, picture {self._in_section}"
        if words in self._words:
            words = f"{words} ({place})"
        self._words.add(words or place)
        return words or place

    def _explored(self, first: _Shown, caption: str) -> list[_Shown]:
        """Return the pictures of an explorer, the stored one first; none if it is no explorer's."""
        name = caption.partition(":")[0]
        return [
            _Shown(
                self._add(each.picture.encode(), "image/svg+xml") if number else first.src,
                f"{name}: {each.label}",
                _size(each.picture.encode()) if number else first.size,
                each.label,
                each.said,
            )
            for number, each in enumerate(settings_of(caption))
        ]

    def _add(self, picture: bytes, kind: str) -> str:
        folder = posixpath.splitext(self._path)[0]
        name = f"{folder}/{len(self._files) + 1}{_SUFFIXES[kind]}"
        self._files[name] = picture
        return relative_to(self._path, name)


def _bytes_of(data: str, kind: str) -> bytes:
    return data.encode() if kind == "image/svg+xml" else base64.b64decode(data)


def _size(picture: bytes, about: Mapping[str, int] | None = None) -> tuple[int, int] | None:
    """Return how large a picture is shown: as wide as its metadata say, or as it is.

    None where only the browser knows: it is no PNG.
    """
    if not picture.startswith(b"\x89PNG"):
        return None
    width, height = int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])
    shown = (about or {}).get("width", width)
    return shown, round(height * shown / width)
