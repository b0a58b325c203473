"""The minutes that a notebook states are measured, and the words of all of them are bounded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import nbformat
import pytest

NOTEBOOKS: Final = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
MAX_WORDS: Final = 16_000
"""In all notebooks: what one reads in an evening and a half."""

MAX_MINUTES: Final = 240
WORDS, LINES, PICTURES = 110, 30, 6
"""What is read in a minute: words of a foreign language, lines of code, pictures or tables."""

STATED: Final = re.compile(r"need\.\*\*\s(\d+) minutes to read")


def words(text: str) -> int:
    """Count the English words of Markdown: no code, no addresses, no Korean summary."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = [line for line in text.splitlines() if not re.match(r">.*[가-힣]", line)]
    text = re.sub(r"\]\([^)]*\)|<[^>]+>", "] ", "\n".join(lines))
    return sum(any(map(str.isalnum, word)) for word in text.split())


def read_before_the_exercises(path: Path) -> list[nbformat.NotebookNode]:
    """Return the cells of a notebook without those of its exercises."""
    found, is_asked = [], False
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            is_asked = cell.source.startswith("## On your own")
        if not is_asked:
            found.append(cell)
    return found


def minutes(path: Path) -> float:
    """Return how long a notebook takes to read."""
    cells = read_before_the_exercises(path)
    read = sum(words(cell.source) for cell in cells if cell.cell_type == "markdown")
    code = [cell for cell in cells if cell.cell_type == "code"]
    lines = sum(bool(line.strip()) for cell in code for line in cell.source.splitlines())
    outputs = [output.get("data", {}).keys() for cell in code for output in cell.outputs]
    seen = sum(bool({"image/png", "text/html"} & kinds) for kinds in outputs)
    return read / WORDS + lines / LINES + seen / PICTURES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_minutes_that_a_notebook_states_are_measured(path: Path) -> None:
    """To the nearest minute, or the one beside it."""
    stated = int(STATED.findall(nbformat.read(path, as_version=4).cells[0].source)[0])
    assert abs(stated - minutes(path)) <= 1, f"state {minutes(path):.0f} minutes"


def test_all_notebooks_are_read_in_four_hours() -> None:
    """Also in what they state."""
    assert sum(map(minutes, NOTEBOOKS)) <= MAX_MINUTES


def test_the_words_of_all_notebooks_are_bounded() -> None:
    """With those of the exercises."""
    cells = [cell for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells]
    total = sum(words(cell.source) for cell in cells if cell.cell_type == "markdown")
    assert total <= MAX_WORDS, f"{total:,} words; cut some before you add some"


def test_what_counts_as_a_word() -> None:
    """Neither what a reader does not read, nor a table's bars."""
    assert words("## 1.2 Two *words*\n| a | b |\n|---|--:|") == 5
    assert words("[the map](00_start_here.ipynb#0.5-The-map), `code()` <a id='x'></a>") == 3
    assert words("```\nno = words\n```\n> 한국어 요약\n> English") == 1
