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


def test_every_error_and_warning_is_there() -> None:
    """What a reader may catch or silence has a public name."""
    inside = {
        "JobsExitError",  # the command turns it into its exit code
        "NotAwaitedError",  # is in the detail of a row, and is not raised
        "RetryLaterError",  # says to Procrastinate when to try again
    }
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in Path(kst_scheduler.__file__).parent.rglob("*.py")
    )
    found = set(re.findall(r"(?m)^class ([A-Z]\w*(?:Error|Warning))\b", text))
    assert found - set(kst_scheduler.__all__) == inside


def test_two_rooms_are_hidden_by_a_function() -> None:
    """The docstring names those that only ``from`` reaches, in a process that imported nothing."""
    hidden = {
        name
        for name in kst_scheduler.__all__
        if (Path(kst_scheduler.__file__).parent / name).is_dir()
    }
    assert hidden == {"once", "fire_times"}
    assert all(f"``{room}``" in str(kst_scheduler.__doc__) for room in hidden)
    program = """
from kst_scheduler.once import locks
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.fire_times import instants
from kst_scheduler.fire_times.instants import microseconds
import kst_scheduler.once.locks
assert locks.redis_lock is redis_lock is kst_scheduler.redis_lock
assert Reconciler is kst_scheduler.Reconciler
assert instants.microseconds is microseconds
assert callable(kst_scheduler.once) and callable(kst_scheduler.fire_times)
"""
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - the program above


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


@pytest.mark.parametrize("name", FACES)
def test_a_face_has_no_code_of_its_own(name: str) -> None:
    """What it shows is from a module of the room; its functions import it late, and list it."""
    path = (PROJECT / "src" / name.replace(".", "/")).joinpath("__init__.py")
    body = ast.parse(path.read_text(encoding="utf-8")).body
    made = [node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert set(made) <= {"__dir__", "__getattr__"}


@pytest.mark.parametrize("path", TEACHING, ids=lambda path: path.name)
def test_a_reader_imports_from_a_face(path: Path) -> None:
    """No README and no notebook takes from a module inside what a room's face has."""
    for module, name in imports_taught(path):
        rooms = [room for room in FACES if module.startswith(f"{room}.")]
        faces = [getattr(importlib.import_module(room), "__all__", []) for room in rooms]
        deep = module not in FACES and any(name in face for face in faces)
        assert not deep, f"from {module} import {name}"
