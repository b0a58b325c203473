"""Build all pages: the notebooks, the documents, and whatever file they link to."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import nbformat

from kst_workbook.errors import WorkbookError
from kst_workbook.page.contents import entry, first_page, heading
from kst_workbook.page.links import ASSETS, broken_links, page_of, relative_to, to_pages
from kst_workbook.page.pictures import take_out
from kst_workbook.page.render import as_notebook, language, render, style_sheet
from kst_workbook.page.sections import Section, search_index, sections_of
from kst_workbook.page.template import fill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbformat import NotebookNode

INDEX: Final = "index.md"
"""Stands for the file, which the repository does not have, that the first page is made of."""
TITLE: Final = "KST Scheduler Workbook"
_CONTENTS: Final = 2
"""The level of the headings that the contents of a page list."""
_SCRIPT: Final = Path(__file__).parent / "page.js"


def build_site(notebooks: Sequence[Path]) -> dict[str, bytes]:
    """Return the files of the site by their paths in it; no notebook is run, and nothing written.

    ``notebooks`` lie in one folder of the repository, and are in reading order.

    Raises:
        WorkbookError: when a link within the site leads nowhere; the message lists all of them.

    """
    site = _Site(notebooks[0].resolve().parents[1])
    site.add_contents([path.resolve().relative_to(site.root).as_posix() for path in notebooks])
    if broken := broken_links(site.files):
        raise WorkbookError("links of the pages are broken:\n" + "\n".join(broken))
    return site.files


@dataclass(frozen=True)
class _Link:
    href: str
    title: str
    is_here: bool = False
    """Whether it leads to the page on which it stands."""


class _Site:
    """Pages, each added once: a page brings along those that it links to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, bytes] = {
            "style.css": style_sheet().encode(),
            "page.js": _SCRIPT.read_bytes(),
        }
        self._titles: dict[str, str] = {}
        self._sections: dict[str, list[Section]] = {}

    def add_contents(self, notebooks: list[str]) -> None:
        """Add the first page, all notebooks, all documents of the root, and the search's index."""
        entries = [entry(path, self._notebook(path)) for path in notebooks]
        self._titles = {each.path: each.title for each in entries}
        documents = sorted(path.name for path in self.root.glob("*.md"))
        titles = [(name, heading(self._text(name)) or name) for name in documents]
        readme = self._text("README.md") if "README.md" in documents else f"# {TITLE}"
        text = first_page(readme, entries, titles)
        self.files[page_of(INDEX)] = b""
        self._add_page(INDEX, as_notebook(INDEX, text), heading(text))
        for path in notebooks:
            self.add(path)
        searched = [*self._titles.items(), *titles]
        rows = [(page_of(path), title, self._sections[path]) for path, title in searched]
        self.files["search_index.js"] = search_index(rows).encode()

    def add(self, path: str) -> None:
        """Add a file of the repository, unless it is there; a link that leads nowhere adds none."""
        file = self.root / path
        if page_of(path) in self.files or path.startswith("..") or not file.is_file():
            return
        self.files[page_of(path)] = b""  # so that a page which links back does not add it again
        if path.endswith(ASSETS):
            self.files[path] = file.read_bytes()
        elif path.endswith(".ipynb"):
            notebook = self._notebook(path)
            self.files |= take_out(path, notebook)
            self._add_page(path, notebook, entry(path, notebook).title)
        else:
            text = self._text(path)
            self._add_page(path, as_notebook(path, text), heading(text) or path)

    def _add_page(self, path: str, notebook: NotebookNode, title: str) -> None:
        text = to_pages(render(path, notebook), path, self.add)
        self._sections[path] = sections_of(text)
        before, after = self._neighbours(path)
        html = fill(
            "page.html.j2",
            language=language(path),
            root=relative_to(path, "index.html").removesuffix("index.html"),
            site=TITLE,
            title=title,
            is_home=path == INDEX,
            pages=self._pages(path, title),
            contents=[each for each in self._sections[path] if each.level == _CONTENTS],
            text=text,
            before=before,
            after=after,
        )
        self.files[page_of(path)] = html.encode()

    def _pages(self, path: str, title: str) -> list[_Link]:
        """Return links to all notebooks; a page that is none follows them."""
        titles = self._titles if path == INDEX else self._titles | {path: title}
        return [self._link(path, other, title) for other, title in titles.items()]

    def _neighbours(self, path: str) -> tuple[_Link | None, _Link | None]:
        """Return links to the notebook before this page, and to the one after it."""
        order = [INDEX, *self._titles]
        if path not in order:
            return None, None
        place = order.index(path)
        before = order[place - 1] if place > 1 else None
        after = order[place + 1] if place + 1 < len(order) else None
        return self._way(path, before), self._way(path, after)

    def _way(self, path: str, other: str | None) -> _Link | None:
        return self._link(path, other, self._titles[other]) if other else None

    def _link(self, path: str, other: str, title: str) -> _Link:
        return _Link(relative_to(page_of(path), page_of(other)), title, is_here=path == other)

    def _notebook(self, path: str) -> NotebookNode:
        notebook: NotebookNode = nbformat.read(self.root / path, as_version=4)
        return notebook

    def _text(self, path: str) -> str:
        try:
            return (self.root / path).read_text("utf-8")
        except UnicodeDecodeError as error:
            name = posixpath.basename(path)
            raise WorkbookError(f"{name} is linked to, and is no text; link to a page") from error
