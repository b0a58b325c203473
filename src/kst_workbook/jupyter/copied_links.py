"""Relative links of a copied file: they lead to copies, at the places that these have."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

NOTEBOOKS: Final = "notebooks/"
DOCUMENTS: Final = "documents/"
"""Where a reader's folder has the files of the repository that are not in its notebooks' folder."""

_LINK: Final = re.compile(
    r'(\]\(<?|\s(?:src|href)="|^\[[^\]]+\]:\s*<?)([^\s"<>()#]+)(?=[\s"<>)#]|\Z)', re.MULTILINE
)
"""A link or picture in Markdown or HTML, up to the section that it names."""


def place_of(path: str) -> str:
    """Return where a reader's folder has a file of the repository; both with slashes."""
    return path.removeprefix(NOTEBOOKS) if path.startswith(NOTEBOOKS) else DOCUMENTS + path


def relink(text: str, path: str, wanted: Callable[[str], bool]) -> str:
    """Return the Markdown of the file ``path`` with its links leading to copies.

    ``wanted`` is called with each file that a relative link leads to; where it returns False, the
    link stays as it is.
    """

    def replace(match: re.Match[str]) -> str:
        parts = urlsplit(match[2])
        file = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path)))
        if parts.scheme or parts.netloc or not wanted(file):
            return match[0]
        here = posixpath.dirname(place_of(path)) or "."
        return match[1] + quote(posixpath.relpath(place_of(file), here))

    return _LINK.sub(replace, text)
