"""Notebook 10 leads to the right places: its index to its gotchas, and these to other notebooks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "notebooks"
PARTS = ("Find it", "Repair")


def prose(name: str) -> str:
    """Return the Markdown of a notebook."""
    cells = nbformat.read(FOLDER / name, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


GOTCHAS = prose("10_gotchas.ipynb")
HEADINGS = re.findall(r"^### (G\d+ .*)$", GOTCHAS, re.MULTILINE)


def sections_linked() -> Iterator[tuple[str, str]]:
    """Yield each link to a section of another notebook: its number and its file."""
    yield from re.findall(r"\[(\d+\.\d+)\]\((\d\d_\w+\.ipynb)\)", GOTCHAS)


def test_the_index_leads_to_each_gotcha() -> None:
    """By its heading, as JupyterLab and nbconvert make anchors of it, in the order of numbers."""
    links = re.findall(r"\[(G\d+)\]\(#([^)]+)\)", GOTCHAS)
    assert links == [(text.split()[0], text.replace(" ", "-")) for text in in_order()]
    assert [number for number, _ in links] == [f"G{place}" for place in range(1, 21)]


def in_order() -> list[str]:
    """Return the headings of the gotchas by number; one explains its twin before it is due."""
    return sorted(HEADINGS, key=lambda text: int(text.split()[0][1:]))


@pytest.mark.parametrize("heading", HEADINGS, ids=lambda text: text.split()[0])
def test_a_gotcha_has_the_one_form(heading: str) -> None:
    """Find it, repair; in this order, each once. The index has the symptom."""
    text = GOTCHAS.partition(f"### {heading}\n")[2]
    body = re.split(r"^##", text, maxsplit=1, flags=re.MULTILINE)[0]
    assert tuple(re.findall(r"^- \*\*([^*]+)\.\*\*", body, re.MULTILINE)) == PARTS


@pytest.mark.parametrize(("section", "name"), sorted(set(sections_linked())))
def test_a_linked_section_is_there(section: str, name: str) -> None:
    """A heading of that number, in that notebook."""
    assert re.search(rf"^## {re.escape(section)} ", prose(name), re.MULTILINE)
