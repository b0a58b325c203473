"""The text of a page from a notebook; documents and source files are notebooks of one cell."""

from __future__ import annotations

import re
from functools import cache
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from nbconvert import HTMLExporter
from nbformat.v4 import new_markdown_cell, new_notebook
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from kst_workbook.page.template import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbformat import NotebookNode

_STYLE: Final = Path(__file__).parent / "style.css"
_SHOWN: Final = ["text/html", "text/markdown", "text/plain"]
"""Of what an output offers, the first of these: no widget, as no kernel is here."""
_LANGUAGES: Final = {".cfg": "ini", ".py": "python", ".sh": "bash", ".toml": "toml", ".yml": "yaml"}
_KOREAN_QUOTE: Final = re.compile(r"<blockquote>(?=(?:(?!</blockquote>).)*?[가-힣])", re.DOTALL)
_HEADING: Final = re.compile(r'(<h[1-6] id=")([^"]*)(".*?href="#)([^"]*)(")')


def as_notebook(path: str, text: str) -> NotebookNode:
    """Return a document, or a source file, as a notebook of one cell of Markdown."""
    suffix = Path(path).suffix
    if suffix != ".md":
        text = f"# {path}\n\n~~~~~~~~{_LANGUAGES.get(suffix, 'text')}\n{text}\n~~~~~~~~"
    notebook: NotebookNode = new_notebook(cells=[new_markdown_cell(text, id="document")])
    return notebook


def render(path: str, notebook: NotebookNode) -> str:
    """Return the text of a file as HTML; its links are still those to files of the repository."""
    html, _ = _exporter().from_notebook_node(notebook)
    html = html.replace(' tabindex="0"', "")  # nbconvert lets the Tab key stop at each cell
    html = _KOREAN_QUOTE.sub('<blockquote lang="ko">', html)
    return _with_anchors(html, _like_github if path.endswith(".md") else _like_jupyterlab)


def language(path: str) -> str:
    """Return the language of a document, by its name: README.ko.md is in Korean."""
    return "ko" if path.endswith(".ko.md") else "en"


def style_sheet() -> str:
    """Return the style of all pages, and the colours of code by day and by night."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    own = _STYLE.read_text("utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{own}"


@cache
def _exporter() -> HTMLExporter:
    shown = Config({"NbConvertBase": {"display_data_priority": _SHOWN}})
    return HTMLExporter(
        config=shown,
        template_name="workbook",
        extra_template_basedirs=[str(FOLDER)],
        anchor_link_text="#",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )


def _with_anchors(html: str, anchor: Callable[[str], str]) -> str:
    """Return a text whose headings have these anchors, which are made of those of JupyterLab.

    nbconvert 7.17 quotes them, as for an address; in HTML an anchor stands as it is.
    """

    def replace(match: re.Match[str]) -> str:
        name = anchor(unquote(unescape(match[2])))
        return f"{match[1]}{escape(name)}{match[3]}{quote(name)}{match[5]}"

    return _HEADING.sub(replace, html)


def _like_jupyterlab(anchor: str) -> str:
    return anchor


def _like_github(anchor: str) -> str:
    """Return the anchor that GitHub gives the heading of a document."""
    return re.sub(r"[^\w-]", "", anchor.lower())
