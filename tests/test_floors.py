from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parent.parent / "src"

FLOORS = [
    "errors",
    "caller",
    "choices",
    "extras",
    "module_files",
    "time_limit",
    "user_values",
    "torn_down",
    "timezone",
    "redaction",
    "triggers",
    "fire_times",
    "scheduler",
    "runs",
    "ledger",
    "once",
    "simulation",
    "timeline",
    "rehearsal",
    "servers",
    "distributed",
    "service",
]
"""The library from the ground up: a room imports only from itself and from those before it."""

WORKBOOK = {"errors", "nps", "pictures", "scenes", "exercises", "explorers", "page", "jupyter"}
JUPYTER = {
    "IPython",
    "ipykernel",
    "ipywidgets",
    "jupyter_client",
    "jupyter_core",
    "jupyter_server",
    "jupyterlab",
    "nbclient",
    "nbconvert",
    "nbformat",
    "nest_asyncio",
    "tornado",
    "traitlets",
    "zmq",
}
"""JupyterLab, and what it consists of or brings along."""


def imports(node: ast.AST, *, for_types: bool = False) -> Iterator[str]:
    """Yield the dotted names of the modules that are imported here, and what is taken from each."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for child in [] if is_for_types and not for_types else ast.iter_child_nodes(node):
        yield from imports(child, for_types=for_types)


def room_of(path: Path) -> str:
    """Return the room that a file belongs to; "" for the package's own ``__init__``."""
    return path.relative_to(SOURCE).parts[1].removesuffix(".py").removeprefix("__init__")


def tree_of(path: Path) -> ast.Module:
    """Return what a file says."""
    return ast.parse(path.read_text(encoding="utf-8"))


LIBRARY = [path for path in sorted((SOURCE / "kst_scheduler").rglob("*.py")) if room_of(path)]
ROOMS = {f"kst_scheduler.{room}" for room in FLOORS} | {f"kst_workbook.{room}" for room in WORKBOOK}
FILES = [*LIBRARY, *(path for path in sorted((SOURCE / "kst_workbook").rglob("*.py")))]


def test_every_module_has_its_room() -> None:
    """The lists above are complete, and name nothing that is not there."""
    assert {room_of(path) for path in LIBRARY} == set(FLOORS)
    assert {room_of(path) for path in FILES[len(LIBRARY) :]} - {""} == WORKBOOK


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_library_imports_only_from_below(path: Path) -> None:
    """No room leans on one above it, none on the workbook, and none on Jupyter."""
    own = FLOORS.index(room_of(path))
    for name in imports(tree_of(path)):
        package, _, rest = name.partition(".")
        room = rest.partition(".")[0]
        if package == "kst_scheduler" and room in FLOORS:
            assert FLOORS.index(room) <= own, name
        assert package != "kst_workbook", name
        assert package not in JUPYTER, name


def test_the_library_does_not_know_the_workbook() -> None:
    """No line names it, but that --demo says where its jobs are, and a finding what explains it."""
    names = "|".join(JUPYTER)
    words = re.compile(rf"(?i)\b(kst.workbook|workbook|jupyter\w*|notebooks?|nps|{names})\b")
    found = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in sorted((SOURCE / "kst_scheduler").rglob("*.*"))
        if path.suffix in {".py", ".html"}
        for line in path.read_text(encoding="utf-8").splitlines()
        if words.search(line)
    ]
    allowed = ("service/cli.py", *(f"rehearsal/{each}.py" for each in ("codes", "report")))
    others = [
        line
        for line in found
        if not line.startswith(tuple(f"kst_scheduler/{each}" for each in allowed))
    ]
    assert not others


def test_no_modules_import_each_other() -> None:
    """There is no circle among the modules of a room either, wherever in them an import stands."""
    modules = {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in [*FILES, SOURCE / "kst_scheduler" / "__init__.py"]
    }
    needed = {
        module: {
            name if name in modules else name.rpartition(".")[0] for name in imports(tree_of(path))
        }
        for module, path in modules.items()
    }
    TopologicalSorter(needed).prepare()


def test_no_rooms_lean_on_each_other() -> None:
    """There is no circle among the rooms of both packages, also where a name is for types only."""
    rooms: dict[str, set[str]] = {}
    for path in FILES:
        own = ".".join(path.relative_to(SOURCE).with_suffix("").parts[:2])
        needed = rooms.setdefault(own, set())
        for name in imports(tree_of(path), for_types=True):
            room = re.match(r"kst_(?:scheduler|workbook)\.\w+", name)
            if room and room[0] != own and room[0] in ROOMS:
                needed.add(room[0])
    TopologicalSorter(rooms).prepare()
