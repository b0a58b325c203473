"""Build all pages: the notebooks, the documents, and whatever file they link to."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

import nbformat

from kst_workbook.errors import WorkbookError
from kst_workbook.page.contents import entry, first_page, heading
from kst_workbook.page.links import ASSETS, broken_links, page_of, to_pages
from kst_workbook.page.render import STYLE, Neighbours, as_notebook, render, style_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbformat import NotebookNode

INDEX: Final = "index.md"
"""Stands for the file, which the repository does not have, that the first page is made of."""
TITLE: Final = "KST Scheduler Workbook"


def build_site(notebooks: Sequence[Path]) -> dict[str, bytes]:
    """Return the files of the site by their paths in it; nothing is run, and nothing written.

    ``notebooks`` lie in one folder of the repository, and are in reading order.

    Raises:
        WorkbookError: when a link within the site leads nowhere; the message lists all of them.

    """
    site = _Site(notebooks[0].resolve().parents[1])
    site.add_contents([path.resolve().relative_to(site.root).as_posix() for path in notebooks])
    if broken := broken_links(site.files):
        raise WorkbookError("links of the pages are broken:\n" + "\n".join(broken))
    return site.files


class _Site:
    """Pages, each added once: a page brings along those that it links to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, bytes] = {STYLE: style_sheet().encode()}
        self._order: list[str] = []

    def add_contents(self, notebooks: list[str]) -> None:
        """Add the first page, all notebooks and all documents of the root."""
        self._order = notebooks
        entries = [entry(path, self._notebook(path)) for path in notebooks]
        documents = sorted(path.name for path in self.root.glob("*.md"))
        titles = [(name, heading(self._text(name)) or name) for name in documents]
        readme = self._text("README.md") if "README.md" in documents else f"# {TITLE}"
        text = first_page(readme, entries, titles)
        self.files[page_of(INDEX)] = b""
        self._add_page(INDEX, as_notebook(INDEX, text), heading(text))
        for path in notebooks:
            self.add(path)

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
            self._add_page(path, notebook, entry(path, notebook).title)
        else:
            text = self._text(path)
            self._add_page(path, as_notebook(path, text), heading(text) or path)

    def _add_page(self, path: str, notebook: NotebookNode, title: str) -> None:
        html = render(path, notebook, title, self._neighbours(path))
        self.files[page_of(path)] = to_pages(html, path, self.add).encode()

    def _neighbours(self, path: str) -> Neighbours:
        """Return where a page leads to, beyond what stands in it."""
        if path == INDEX:
            return Neighbours()
        if path not in self._order:
            return Neighbours(INDEX)
        place = self._order.index(path)
        around = [None, *self._order, None]
        return Neighbours(INDEX, around[place], around[place + 2])

    def _notebook(self, path: str) -> NotebookNode:
        notebook: NotebookNode = nbformat.read(self.root / path, as_version=4)
        return notebook

    def _text(self, path: str) -> str:
        try:
            return (self.root / path).read_text("utf-8")
        except UnicodeDecodeError as error:
            name = posixpath.basename(path)
            raise WorkbookError(f"{name} is linked to, and is no text; link to a page") from error
