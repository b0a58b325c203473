"""What the documents for contributors name is there."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from test_floors import FLOORS, WORKBOOK

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parent.parent
PLACES: Final = (
    *(ROOT, ROOT / "src", ROOT / "src/kst_scheduler", ROOT / "src/kst_workbook"),
    *(ROOT / "src/kst_workbook/exercises/questions", ROOT / "notebooks"),
)
"""Where a path in a document may begin."""
DOCUMENTS: Final = [
    *(path for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"),
    ROOT / "benchmarks" / "RESULTS.md",
]
"""All but the changelog, which may name what is gone."""
ARCHITECTURE: Final = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
MAX_LINES: Final = 120
"""Two pages."""

PATH: Final = re.compile(
    r"(?<![\w./*:-])[\w.*-]+(?:/[\w.*-]+)*(?:/|\.(?:py|md|ipynb|txt|toml))(?![\w/])"
)
COPIES: Final = {"03_triggers.new.ipynb", "03_triggers.before.ipynb"}
MADE: Final = {"site/", "my_jobs.py", "path/file.py", *COPIES}
"""What a command makes, or a reader writes."""
MODULE: Final = re.compile(r"`(kst_(?:scheduler|workbook)(?:\.[a-z_]+)+)`")


def named_paths(text: str) -> Iterator[str]:
    """Yield the paths of files and folders that stand in code, as patterns."""
    code = re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL)
    for path in PATH.findall("\n".join(code)):
        if path not in MADE and (path[0] != "." or path.startswith(".ci/")):
            yield path.replace("NN", "[0-9][0-9]").replace("N.M", "*.*").replace("_M_", "_[0-9]_")


def is_there(path: str) -> bool:
    """Tell whether a path, or one that fits a pattern, is in the project."""
    if "/" not in path and path.startswith("test_"):
        return any((ROOT / "tests").rglob(path))
    return any(any(place.glob(path.rstrip("/"))) for place in PLACES)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_paths_exist(document: Path) -> None:
    """Each file and each folder that a document names."""
    paths = set(named_paths(document.read_text(encoding="utf-8")))
    assert not {path for path in paths if not is_there(path)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_modules_exist(document: Path) -> None:
    """Each dotted name is a module, or a name in one."""
    for name in MODULE.findall(document.read_text(encoding="utf-8")):
        pkgutil.resolve_name(name)  # raises where there is none


def rooms(heading: str) -> list[str]:
    """Return the rooms in the first column of the table below a heading."""
    section = ARCHITECTURE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_architecture_lists_the_rooms_from_the_ground_up() -> None:
    """All rooms of the library, in the order that decides who may import whom."""
    assert rooms("The rooms of the library") == FLOORS


def test_architecture_lists_the_rooms_of_the_workbook() -> None:
    """All of them; their order says nothing."""
    assert set(rooms("The rooms of the workbook")) == WORKBOOK


def test_architecture_is_two_pages() -> None:
    """Who wants to add a line takes one out."""
    assert len(ARCHITECTURE.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("document", ["README.md", "README.ko.md", "CONTRIBUTING.md"])
def test_architecture_is_linked(document: str) -> None:
    """A newcomer finds it."""
    assert "](ARCHITECTURE.md)" in (ROOT / document).read_text(encoding="utf-8")


def spread(path: str) -> list[str]:
    """Return the paths that a shell makes of one with braces."""
    before, _, rest = path.partition("{")
    words, _, after = rest.partition("}")
    return [f"{before}{word}{after}" for word in words.split(",")]


def test_the_tests_left_out_of_a_run_exist() -> None:
    """A path that pytest is to ignore and that is gone is ignored without a word."""
    ignored = re.findall(r"--ignore=(\S+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    paths = [path for option in ignored for path in spread(option)]
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_each_room_has_a_folder_of_tests() -> None:
    """Of the same name; only the workbook's pictures are tested with those of the library."""
    library = [room for room in FLOORS if (ROOT / "src/kst_scheduler" / room).is_dir()]
    workbook = WORKBOOK - {"errors", "pictures"}
    folders = [*library, *(f"workbook/{room}" for room in workbook)]
    assert not [folder for folder in folders if not any((ROOT / "tests" / folder).glob("test_*"))]
