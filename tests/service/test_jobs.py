from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.service.jobs import jobs_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def register(service: object) -> None:
    """Add none."""


async def register_later(service: object) -> None:
    """Look like a jobs function, and never be awaited."""


def test_a_function_is_taken_as_it_is() -> None:
    """A test or a notebook need not write a module."""
    assert jobs_function(register) is register


def test_a_module_of_this_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``python -m`` finds it: the folder of an installed command is another one."""
    (tmp_path / "only_here_jobs.py").write_text("def add(service): return 'added'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    try:
        function = jobs_function("only_here_jobs:add")
    finally:
        sys.modules.pop("only_here_jobs", None)
    assert function(None) == "added"


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ("kst_workbook.nps.nightly", "write module:function"),
        (":register", "write module:function"),
        ("", "write module:function"),
        ("no_such_module:add", "no module 'no_such_module'"),
        ("kst_scheduler.no_such:add", r"no module 'kst_scheduler\.no_such'"),
        ("kst_workbook.nps.nightly:registr", "did you mean 'register'"),
        ("kst_workbook.nps.nightly:logger", "not a plain function"),
        (".relative:add", "'.relative' is not the name of a module"),
        ("two..dots:add", "'two..dots' is not the name of a module"),
        ("a module:add", "'a module' is not the name of a module"),
        ("kst_workbook.nps.nightly:register:add", "is not the name of a module"),
        ("./nowhere:add", "there is no file '/.*/nowhere.py'"),
        ("nowhere.py:add", "there is no file '/.*/nowhere.py'"),
        ("/nowhere/jobs.py:add", "there is no file '/nowhere/jobs.py'"),
        ("./nowhere.py", "write module:function"),
    ],
)
def test_jobs_that_cannot_be_found_are_named(jobs: str, said: str) -> None:
    """The message shows what was written, and what to write."""
    with pytest.raises(InvalidArgumentError, match=f"jobs='{jobs}'.*{said}") as refused:
        jobs_function(jobs)
    assert "\n" not in str(refused.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Enter a folder with modules of jobs; what is imported from there is forgotten."""
    (tmp_path / "package_of_jobs").mkdir()
    for name, code in {
        "file_of_jobs.py": "import beside_file_of_jobs\n\ndef add(service): return 'file'\n",
        "beside_file_of_jobs.py": "",
        "queue.py": "def add(service): return 'queue'\n",
        "not-a-name.py": "def add(service): ...\n",
        "package_of_jobs/__init__.py": "def add(service): return 'package'\n",
        "package_of_jobs/inner.py": "from . import add as add_all\n\n"
        "class Jobs:\n    @staticmethod\n    def add(service): return 'inner'\n",
    }.items():
        (tmp_path / name).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0].endswith("_jobs"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("jobs", "found"),
    [
        ("./file_of_jobs:add", "file"),
        ("file_of_jobs.py:add", "file"),
        ("./file_of_jobs.py:add", "file"),
        ("package_of_jobs/../file_of_jobs.py:add", "file"),
        ("{here}/file_of_jobs.py:add", "file"),
        ("./package_of_jobs:add", "package"),
        ("package_of_jobs/__init__.py:add", "package"),
        ("package_of_jobs/inner.py:add_all", "package"),
        ("package_of_jobs/inner.py:Jobs.add", "inner"),
        ("package_of_jobs.inner:Jobs.add", "inner"),
    ],
)
def test_a_file_is_named_by_its_path(folder: Path, jobs: str, found: str) -> None:
    """As a shell completes it; the modules beside it are found."""
    assert jobs_function(jobs.format(here=folder))(None) == found


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ("queue.py:add", r"another module has the name 'queue', /.*/queue.py; rename the file"),
        ("./not-a-name.py:add", "'not-a-name' cannot be imported; rename it"),
        ("./file_of_jobs.py:ad", "no function 'ad'; did you mean 'add'"),
        ("package_of_jobs/inner.py:Jobs.ad", "no function 'ad'; did you mean 'add'"),
        ("./file_of\0jobs.py:add", "is not a path"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_file_that_cannot_be_meant_is_named(jobs: str, said: str) -> None:
    """A module of the standard library would win over one of the same name."""
    with pytest.raises(InvalidArgumentError, match=said):
        jobs_function(jobs)


@pytest.mark.parametrize(
    "function", [lambda: None, lambda one, two: (one, two), lambda *, service: service]
)
def test_a_function_that_does_not_take_the_service_is_refused(
    function: Callable[..., object],
) -> None:
    """Before a server is started."""
    with pytest.raises(InvalidArgumentError, match="cannot be called with the service alone"):
        jobs_function(function)


def test_a_coroutine_function_is_refused() -> None:
    """Nothing would await it, and the service would run without jobs."""
    with pytest.raises(InvalidArgumentError, match=r"not a plain function; write def register"):
        jobs_function(register_later)


def test_an_import_that_fails_inside_the_module_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module is there, and one that it needs is not: that is another message."""
    (tmp_path / "needs_more_jobs.py").write_text("import not_installed_anywhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        jobs_function("needs_more_jobs:add")
