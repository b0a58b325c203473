"""Finds the function that adds a service's jobs: "module:function" or "file.py:function"."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import InvalidArgumentError, KSTSchedulerError
from kst_scheduler.module_files import (
    check_is_of_file,
    check_module_name,
    is_file_name,
    module_file,
)
from kst_scheduler.scheduler.executor import returns_awaitable
from kst_scheduler.scheduler.guards import nearest
from kst_scheduler.scheduler.job_functions import full_name_of
from kst_scheduler.user_values import describe

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

MAX_FRAMES: Final = 100
"""Of a traceback; the last of them that is no part of Python says where an error was raised."""


def jobs_function(jobs: str | Callable[..., object] | None) -> Callable[..., object]:
    """Return the function that ``jobs`` names, or is.

    A module is looked for in the current folder first. A name with a slash in it, or the ending
    ``.py``, is that of a file.

    Raises:
        InvalidArgumentError: no jobs are named, there is no such module, file or function, or it is
            not a plain function of one argument.

    """
    if jobs is None:
        raise InvalidArgumentError(
            "no jobs are named; write --jobs my_service.jobs:register (KST_SCHEDULER_JOBS), or "
            "--demo to see a nightly crawl of a sandbox"
        )
    function = _found(jobs) if isinstance(jobs, str) else jobs
    if not callable(function) or returns_awaitable(function):
        raise InvalidArgumentError(
            f"jobs={jobs!r} is not a plain function; write def register(service): ..., which "
            "adds jobs to service.scheduler"
        )
    _check_arguments(jobs, function)
    return function


def call_jobs_function(function: Callable[..., object], service: object) -> None:
    """Let a jobs function add its jobs.

    Raises:
        InvalidArgumentError: it raised what would cut the service short without a word, such as
            CancelledError.
        JobsExitError: it called ``sys.exit()``.

    """
    try:
        function(service)
    except (Exception, KeyboardInterrupt):
        raise
    except SystemExit as error:
        raise JobsExitError(error) from None
    except BaseException as error:  # noqa: BLE001 - a task would take it for its own
        raise InvalidArgumentError(
            f"{full_name_of(function)} raised {describe(error)}{place_of(error)}"
        ) from None


class JobsExitError(KSTSchedulerError):
    """Raised when a jobs function calls sys.exit(); ``code`` is the exit code that it means."""

    def __init__(self, error: SystemExit) -> None:
        said = error.code
        text = (
            ""
            if said is None
            else repr(said)
            if isinstance(said, int | str)
            else type(said).__name__
        )
        super().__init__(f"sys.exit({text}) was called{place_of(error)}")
        self.code = 0 if said is None else said if isinstance(said, int) else 1


def place_of(error: BaseException) -> str:
    """Return where an error was raised, as " (file, line 7)"."""
    frames = traceback.extract_tb(error.__traceback__, limit=-MAX_FRAMES)
    found = [each for each in frames if not each.filename.startswith("<frozen")]
    return f" ({found[-1].filename}, line {found[-1].lineno})" if found else ""


def _check_arguments(jobs: str | Callable[..., object], function: Callable[..., object]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # something built in, which need not have one
        return
    try:
        signature.bind(None)
    except TypeError:
        raise InvalidArgumentError(
            f"jobs={jobs!r} cannot be called with the service alone: its arguments are "
            f"{signature}; write def register(service): ..."
        ) from None


def _found(jobs: str) -> object:
    module_name, _, name = jobs.rpartition(":")
    if not (module_name and name):
        raise InvalidArgumentError(
            f"jobs={jobs!r} does not name a function; write module:function, such as "
            "my_service.jobs:register"
        )
    module = (_of_file if is_file_name(module_name) else _of_name)(jobs, module_name)
    found: object = module
    for part in name.split("."):  # a method of a class is found in it
        if not hasattr(found, part):
            public = [known for known in dir(found) if not known.startswith("_")]
            raise InvalidArgumentError(
                f"jobs={jobs!r}: no function {part!r}{nearest(part, public)}"
            )
        found = getattr(found, part)
    return found


def _of_name(jobs: str, name: str) -> ModuleType:
    check_module_name(name, f"jobs={jobs!r}")
    _look_first_in(os.getcwd())  # noqa: PTH109 - as python -m does
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module was found, and one that it imports was not
        raise InvalidArgumentError(
            f"jobs={jobs!r}: there is no module {error.name!r} in this folder or among the "
            "installed packages"
        ) from None


def _of_file(jobs: str, name: str) -> ModuleType:
    """Import a file as a module of its folder, so that it finds what lies beside it."""
    file = module_file(name, f"jobs={jobs!r}")
    _look_first_in(file.folder)
    module = importlib.import_module(file.module)
    check_is_of_file(module, file.path, f"jobs={jobs!r}")
    return module


def _look_first_in(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
