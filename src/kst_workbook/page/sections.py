"""The sections of a page: what its contents list, and what the search finds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADINGS: Final = ("h1", "h2", "h3")
_INLINE: Final = {"a", "b", "code", "em", "i", "s", "span", "strong", "u"}
"""What does not end a word."""


@dataclass
class Section:
    """A heading, and what stands below it up to the next one."""

    level: int
    anchor: str
    title: str = ""
    text: str = ""


def sections_of(html: str) -> list[Section]:
    """Return the sections of the text of a page; what stands above the first heading is left out.

    Headings below the third level belong to the section in which they are.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    for section in reader.sections:
        section.title, section.text = _in_one_line(section.title), _in_one_line(section.text)
    return reader.sections


def search_index(pages: Iterable[tuple[str, str, list[Section]]]) -> str:
    """Return the script with what page.js searches: pages by path, title and sections.

    It is a script, as a page that is opened as a file may not read another one.
    """
    rows = [
        [path, title, [[each.anchor, each.title, each.text] for each in sections]]
        for path, title, sections in pages
    ]
    return f"window.searchIndex = {json.dumps(rows, ensure_ascii=False, separators=(',', ':'))};\n"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sections: list[Section] = []
        self._heading = ""
        self._in_sign = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a section with its heading, and a word with all but inline tags."""
        values = dict(attrs)
        if tag in _HEADINGS and (anchor := values.get("id")):
            self.sections.append(Section(int(tag[1]), anchor))
            self._heading = tag
        self._in_sign = tag == "a" and values.get("class") == "anchor-link"
        if tag not in _INLINE:
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        """End a heading, and the sign of the link to it."""
        self._in_sign = False
        if tag == self._heading:
            self._heading = ""

    def handle_data(self, data: str) -> None:
        """Add to the title, or to the text."""
        if not self.sections or self._in_sign:
            return
        if self._heading:
            self.sections[-1].title += data
        else:
            self.sections[-1].text += data


def _in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
