"""The ways through the workbook: the map with its minutes, and the 25-minute route."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import nbformat
import pytest

from kst_workbook.exercises.exercise import all_exercises

NOTEBOOKS: Final = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
FIRST: Final = NOTEBOOKS[0].name
STOP: Final = re.compile(r"^\d+\. \[(\d+\.\d+) [^\]]+\]\(([^)]+)\): (\d+) min$", re.MULTILINE)
MARK: Final = re.compile(r"\*On the 25-minute route: (\d+) minutes?; (.*?)\.\*", re.DOTALL)
MAP_ROW: Final = re.compile(r"^\| \[[^\]]+\]\((\S+)\) \|.*\| (\d+) \| (\d+) \|$", re.MULTILINE)
NEEDED: Final = re.compile(r"need\.\*\*\s(\d+) minutes to read, (\d+) for the exercises")


def markdown(path: Path) -> list[str]:
    """Return the Markdown cells of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


TEXTS: Final = {path.name: markdown(path) for path in NOTEBOOKS}


def stops() -> list[tuple[str, str, int]]:
    """Return number, link and minutes of each stop, as the first notebook lists them."""
    found = STOP.findall("\n\n".join(TEXTS[FIRST]))
    return [(number, link, int(minutes)) for number, link, minutes in found]


def section(number: str, name: str) -> str:
    """Return the text of a section as far as its own cell goes."""
    (text,) = (text for text in TEXTS[name] if f"## {number} " in text)
    return text[text.index(f"## {number} ") :]


def test_the_route_takes_25_minutes_and_a_stop_in_each_notebook() -> None:
    """As long as the lesson, and as far as the lesson goes."""
    assert sum(minutes for *_, minutes in stops()) == 25
    through = {int(number.partition(".")[0]) for number, *_ in stops()}
    assert through >= set(range(12))


def test_each_stop_says_how_long_it_is_and_where_the_next_one_is() -> None:
    """Under its heading; the last one leads back to the map."""
    links = [link for _, link, _ in stops()]
    for place, (number, link, minutes) in enumerate(stops()):
        name = link.partition("#")[0] or FIRST
        said, onward = MARK.findall(section(number, name))[0]
        assert int(said) == minutes, number
        following = links[place + 1] if place + 1 < len(links) else f"{FIRST}#0.5-The-map"
        assert f"#{following.partition('#')[2]})" in onward, number


def test_no_section_is_marked_that_is_no_stop() -> None:
    """As many marks as stops, over all notebooks."""
    marks = [mark for texts in TEXTS.values() for text in texts for mark in MARK.findall(text)]
    assert len(marks) == len(stops())


def test_the_map_has_each_notebook_with_its_minutes() -> None:
    """The same as the notebook itself says; five for each exercise."""
    rows = {row[0]: row[1:] for row in MAP_ROW.findall("\n\n".join(TEXTS[FIRST]))}
    assert list(rows) == [path.name for path in NOTEBOOKS[1:]]
    for name, texts in TEXTS.items():
        (needed,) = NEEDED.findall(texts[0])
        assert rows.get(name, needed) == needed, name
        asked = [each for each in all_exercises().values() if each.notebook == int(name[:2])]
        assert int(needed[1]) == 5 * len(asked), name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_back_and_to_headings_that_exist(path: Path) -> None:
    """To the notebook before, to the map, and wherever a link names a place."""
    links = re.findall(r"\]\(([^)\s]+)\)", "\n".join(TEXTS[path.name]))
    before = [other.name for other in NOTEBOOKS if other.name < path.name][-1:]
    assert {*before} <= {link.partition("#")[0] for link in links}
    assert any(link.endswith("#0.5-The-map") for link in links)
    for link in links:
        name, _, place = link.partition("#")
        if place and not name.startswith("http") and name.endswith(("", ".ipynb")):
            assert unquote(place) in anchors(name or path.name), link


def anchors(name: str) -> set[str]:
    """Return where links can lead within a notebook, in JupyterLab and on the page."""
    headings = re.findall(r"^#+ (.*)$", "\n".join(TEXTS[name]), re.MULTILINE)
    places = re.findall(r'id="([^"]+)"', "\n".join(TEXTS[name]))
    return {re.sub(r"[`*]", "", heading).replace(" ", "-") for heading in headings} | {*places}
