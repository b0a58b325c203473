from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.service.jobs import jobs_function

if TYPE_CHECKING:
    from pathlib import Path


def add_jobs(service: object) -> None:
    """Add none."""


async def add_jobs_later(service: object) -> None:
    """Look like a jobs function, and never be awaited."""


def test_a_function_is_taken_as_it_is() -> None:
    """A test or a notebook need not write a module."""
    assert jobs_function(add_jobs) is add_jobs


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
        ("kst_scheduler.service.nightly", "write module:function"),
        (":register", "write module:function"),
        ("", "write module:function"),
        ("no_such_module:add", "no module 'no_such_module'"),
        ("kst_scheduler.no_such:add", r"no module 'kst_scheduler\.no_such'"),
        ("kst_scheduler.service.nightly:registr", "did you mean 'register'"),
        ("kst_scheduler.service.nightly:logger", "not a plain function"),
    ],
)
def test_jobs_that_cannot_be_found_are_named(jobs: str, said: str) -> None:
    """The message shows what was written, and what to write."""
    with pytest.raises(InvalidArgumentError, match=f"jobs='{jobs}'.*{said}"):
        jobs_function(jobs)


def test_a_coroutine_function_is_refused() -> None:
    """Nothing would await it, and the service would run without jobs."""
    with pytest.raises(InvalidArgumentError, match=r"not a plain function; write def add_jobs"):
        jobs_function(add_jobs_later)


def test_an_import_that_fails_inside_the_module_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module is there, and one that it needs is not: that is another message."""
    (tmp_path / "needs_more_jobs.py").write_text("import not_installed_anywhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        jobs_function("needs_more_jobs:add")
