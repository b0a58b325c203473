from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kst_scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parent.parent
FACES = sorted(
    ".".join(path.parent.relative_to(PROJECT / "src").parts)
    for path in (PROJECT / "src").rglob("__init__.py")
)
TEACHING = [*sorted(PROJECT.glob("README*.md")), *sorted((PROJECT / "notebooks").glob("*.ipynb"))]


def imports_taught(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of each import from this project that a reader is shown."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    else:
        codes = re.findall(r"(?ms)^```python\n(.*?)^```", text)
    for line in re.findall(r"(?m)^ *(from kst_\w.* import [\w, ]+$)", "\n".join(codes)):
        for node in ast.parse(line).body:
            assert isinstance(node, ast.ImportFrom)
            yield from ((str(node.module), alias.name) for alias in node.names)


def test_every_public_name_is_there() -> None:
    """Each name of __all__ can be imported, and the list is sorted and without repetition."""
    for name in kst_scheduler.__all__:
        assert getattr(kst_scheduler, name).__doc__ or name in {"KST", "JOB_DEFAULTS"}
    assert len(set(kst_scheduler.__all__)) == len(kst_scheduler.__all__)


def test_import_loads_no_extra() -> None:
    """Importing the package loads none of the libraries that only extras bring, nor pandas."""
    program = """
import sys, kst_scheduler
extras = "matplotlib time_machine greenlet tqdm httpx fastapi uvicorn redis holidays IPython"
extras += " sqlalchemy asyncpg aiosqlite psycopg procrastinate pydantic pandas numpy"
print(sorted(set(extras.split()) & set(sys.modules)))
"""
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_import_loads_what_every_service_needs_and_little_more() -> None:
    """What one function needs, and what not every service has, is loaded by its first use."""
    program = """
import sys, apscheduler.schedulers.asyncio
before = set(sys.modules)
import kst_scheduler
late = "pytz hashlib secrets difflib decimal kst_scheduler.once.reconcile kst_scheduler.runs"
print(sorted(set(late.split()) & (set(sys.modules) - before)))
print(sorted(set(kst_scheduler.__all__) - set(dir(kst_scheduler))))
"""
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.split("\n") == ["[]", "[]", ""]


def test_unknown_names_are_attribute_errors() -> None:
    """A name that is not there is reported as any module does."""
    assert not hasattr(kst_scheduler, "plot_everything")


@pytest.mark.parametrize("name", FACES)
def test_a_room_shows_its_face(name: str) -> None:
    """It says what it is for; __all__ is sorted, without repetition, and names what is there."""
    room = importlib.import_module(name)
    assert room.__doc__
    shown = getattr(room, "__all__", [])
    assert len(set(shown)) == len(shown)
    assert all(hasattr(room, each) for each in shown)


@pytest.mark.parametrize("path", TEACHING, ids=lambda path: path.name)
def test_a_reader_imports_from_a_face(path: Path) -> None:
    """No README and no notebook takes from a module inside what a room's face has."""
    for module, name in imports_taught(path):
        rooms = [room for room in FACES if module.startswith(f"{room}.")]
        faces = [getattr(importlib.import_module(room), "__all__", []) for room in rooms]
        deep = module not in FACES and any(name in face for face in faces)
        assert not deep, f"from {module} import {name}"
