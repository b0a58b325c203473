"""The first page of the site: what the workbook is, and the map of its notebooks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbformat import NotebookNode

_DO: Final = re.compile(r"\*\*What you'll do\.\*\*\s*(.*?)(?:\n\n|\Z)", re.DOTALL)
_MINUTES: Final = re.compile(r"\*\*What you'll need\.\*\*.*?(\d+) minutes", re.DOTALL)
_HEADING: Final = re.compile(r"^#\s+(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A notebook as the map shows it."""

    path: str
    """From the root of the repository, with slashes."""
    title: str
    """With its number, as in: 3. Choose when a job fires."""
    does: str
    """What the reader will do, in Markdown."""
    minutes: int | None


def entry(path: str, notebook: NotebookNode) -> Entry:
    """Return what the first cell of a notebook says about it."""
    source = notebook.cells[0].source if notebook.cells else ""
    does, minutes = _DO.search(source), _MINUTES.search(source)
    return Entry(
        path,
        heading(source) or path,
        " ".join(does[1].split()) if does else "",
        int(minutes[1]) if minutes else None,
    )


def heading(markdown: str) -> str:
    """Return the first heading of a text, without its formatting; "" where there is none."""
    found = _HEADING.search(markdown)
    return re.sub("[`*]", "", found[1]).strip() if found else ""


def first_page(readme: str, entries: Iterable[Entry], documents: Iterable[tuple[str, str]]) -> str:
    """Return the first page in Markdown.

    It has the README up to its first section, a row for each notebook, and a link to each of the
    documents, which are given by path and title.
    """
    entries = list(entries)
    rows = [
        f"| {each.minutes or ''} | **[{each.title}]({each.path})**<br>{each.does} |"
        for each in entries
    ]
    return "\n".join(
        [
            readme.partition("\n## ")[0].rstrip(),
            f"\n## The notebooks\n\n{_length(entries)}\n",
            "| minutes | what you'll do |\n|---|---|",
            *rows,
            "\n## More to read\n",
            *(f"- [{title}]({path})" for path, title in documents),
        ]
    )


def _length(entries: list[Entry]) -> str:
    minutes = sum(each.minutes or 0 for each in entries)
    return (
        f"These pages show what the {len(entries)} notebooks do, with their stored outputs. To run "
        f"them takes about {round(minutes / 60)} hours."
    )
