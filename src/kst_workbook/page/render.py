"""One page from one notebook; documents and source files are taken for notebooks of one cell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nbconvert import HTMLExporter
from nbformat.v4 import new_markdown_cell, new_notebook
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from kst_workbook.page.links import relative_to

if TYPE_CHECKING:
    from nbformat import NotebookNode

STYLE: Final = "style.css"
_HERE: Final = Path(__file__).parent
_SHOWN: Final = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/plain",
]
"""Of what an output offers, the first of these: no widget, as nothing runs here."""
_LANGUAGES: Final = {".cfg": "ini", ".py": "python", ".sh": "bash", ".toml": "toml", ".yml": "yaml"}
_KOREAN_QUOTE: Final = re.compile(r"<blockquote>(?=(?:(?!</blockquote>).)*?[가-힣])", re.DOTALL)
_HEADING: Final = re.compile(r'(<h[1-6] id=")([^"]*)(".*?href="#)([^"]*)(")')


@dataclass(frozen=True)
class Neighbours:
    """Where a page leads to: files of the repository."""

    contents: str | None = None
    before: str | None = None
    after: str | None = None


def as_notebook(path: str, text: str) -> NotebookNode:
    """Return a document, or a source file, as a notebook of one cell of Markdown."""
    suffix = Path(path).suffix
    if suffix != ".md":
        text = f"# {path}\n\n~~~~~~~~{_LANGUAGES.get(suffix, 'text')}\n{text}\n~~~~~~~~"
    notebook: NotebookNode = new_notebook(cells=[new_markdown_cell(text, id="document")])
    return notebook


def render(path: str, notebook: NotebookNode, title: str, neighbours: Neighbours) -> str:
    """Return the page of a file; its links are still those to files of the repository."""
    ways = {"contents": neighbours.contents, "before": neighbours.before, "after": neighbours.after}
    page = {name: relative_to(path, to) for name, to in ways.items() if to}
    page |= {"title": title, "style": relative_to(path, STYLE), "language": language(path)}
    html, _ = _exporter().from_notebook_node(notebook, resources={"page": page})
    html = _KOREAN_QUOTE.sub('<blockquote lang="ko">', html)
    return _like_github(html) if path.endswith(".md") else html


def language(path: str) -> str:
    """Return the language of a document, by its name: README.ko.md is in Korean."""
    return "ko" if path.endswith(".ko.md") else "en"


def style_sheet() -> str:
    """Return the style of all pages, and the colours of code by day and by night."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    own = (_HERE / STYLE).read_text("utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{own}"


@cache
def _exporter() -> HTMLExporter:
    shown = Config({"NbConvertBase": {"display_data_priority": _SHOWN}})
    return HTMLExporter(
        config=shown,
        template_name="workbook",
        extra_template_basedirs=[str(_HERE / "templates")],
        anchor_link_text="#",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )


def _like_github(html: str) -> str:
    """Return a document with the anchors that GitHub gives its headings.

    Notebooks have those of JupyterLab, which keep capital letters.
    """

    def anchor(match: re.Match[str]) -> str:
        name = re.sub(r"[^\w-]", "", match[2].lower())
        return f"{match[1]}{name}{match[3]}{name}{match[5]}"

    return _HEADING.sub(anchor, html)
