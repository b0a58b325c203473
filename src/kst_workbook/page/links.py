"""Links from page to page: written for the repository's files, kept as links to their pages."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ASSETS: Final = (".css", ".gif", ".jpeg", ".jpg", ".png", ".svg")
"""What the site has as it is; everything else has a page."""
_TARGET: Final = re.compile(r'(?<=\s)(href|src)="([^"]*)"')


def page_of(path: str) -> str:
    """Return where the site has a file of the repository; both from the root, with slashes."""
    stem, suffix = posixpath.splitext(path)
    if suffix in ASSETS:
        return path
    return f"{stem}.html" if suffix in {".ipynb", ".md"} else f"{path}.html"


def relative_to(path: str, other: str) -> str:
    """Return the relative link from the file ``path`` to the file ``other``."""
    return posixpath.relpath(other, posixpath.dirname(path) or ".")


def linked_file(path: str, target: str) -> tuple[str, str] | None:
    """Return the file that a link of the file ``path`` leads to, and the anchor there, or "".

    None where it leads to another host, or holds its data itself.
    """
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return None
    if not parts.path:
        return path, unquote(parts.fragment)
    joined = posixpath.join(posixpath.dirname(path), unquote(parts.path))
    return posixpath.normpath(joined), unquote(parts.fragment)


def to_pages(html: str, path: str, wanted: Callable[[str], None]) -> str:
    """Return the page of the file ``path`` with its links leading to pages.

    ``wanted`` is called with each file of the repository that is linked to.
    """

    def replace(match: re.Match[str]) -> str:
        found = linked_file(path, match[2])
        if found is None or not urlsplit(match[2]).path:
            return match[0]
        file, anchor = found
        wanted(file)
        link = quote(relative_to(page_of(path), page_of(file)))
        return f'{match[1]}="{link}#{quote(anchor)}"' if anchor else f'{match[1]}="{link}"'

    return _TARGET.sub(replace, html)


def broken_links(site: Mapping[str, bytes]) -> list[str]:
    """Return a line for each link within the site that leads nowhere.

    A page that would load something from another host is also named: it would not be whole
    without the network.
    """
    pages = {path: _read(site[path]) for path in sorted(site) if path.endswith(".html")}
    return [
        f"{path}: {complaint}"
        for path, page in pages.items()
        for complaint in _complaints(path, page, site, pages)
    ]


@dataclass
class _Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag is about."""
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.append(value)
            elif name == "src" or (name == "href" and tag == "link"):
                self.loads.append(value or "")
            elif name == "href":
                self.links.append(value or "")


def _read(page: bytes) -> _Page:
    parser = _Page()
    parser.feed(page.decode())
    parser.close()
    return parser


def _complaints(
    path: str, page: _Page, site: Mapping[str, bytes], pages: Mapping[str, _Page]
) -> Iterator[str]:
    for target in page.loads:
        if not target.startswith("data:") and linked_file(path, target) is None:
            yield f"loads {target} from another host"
    for target in [*page.links, *page.loads]:
        if (found := linked_file(path, target)) is None:
            continue
        file, anchor = found
        if file not in site:
            yield f"the link to {target} leads nowhere"
        elif anchor and anchor not in pages[file].anchors:
            yield f"the link to {target} leads to no anchor of {file}"
    for anchor in sorted({name for name in page.anchors if page.anchors.count(name) > 1}):
        yield f"two places have the anchor {anchor}"
