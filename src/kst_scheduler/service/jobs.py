"""Finds the function that adds a service's jobs: "module:function" or "file.py:function"."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import InvalidArgumentError, KSTSchedulerError
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
    is_file = module_name.endswith(".py") or "/" in module_name or os.sep in module_name
    module = (_of_file if is_file else _of_name)(jobs, module_name)
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
    if not all(part.isidentifier() for part in name.split(".")):
        raise InvalidArgumentError(
            f"jobs={jobs!r}: {name!r} is not the name of a module; write module:function, such as "
            "my_service.jobs:register, or the path of a file, such as ./my_jobs.py:register"
        )
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
    path = _path(jobs, name)
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():  # a package, whose modules import one another
        parts.insert(0, folder.name)
        folder = folder.parent
    module_name = ".".join(parts)
    if not all(part.isidentifier() for part in parts):
        raise InvalidArgumentError(
            f"jobs={jobs!r}: a file whose name is {module_name!r} cannot be imported; rename it to "
            "letters, digits and underscores"
        )
    _look_first_in(str(folder))
    module = importlib.import_module(module_name)
    here = getattr(module, "__file__", None)
    if here is None or Path(here).resolve() != path:
        raise InvalidArgumentError(
            f"jobs={jobs!r}: another module has the name {module_name!r}"
            f"{f', {here}' if here else ''}; rename the file"
        )
    return module


def _path(jobs: str, name: str) -> Path:
    try:
        path = Path(name).expanduser().resolve()
        path = path / "__init__.py" if path.is_dir() else path
        is_file = path.is_file()
        if not is_file and path.suffix != ".py":
            path = path.with_name(f"{path.name}.py")
            is_file = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # NUL, a loop of links, no such home
        raise InvalidArgumentError(f"jobs={jobs!r} is not a path: {error}") from None
    if not is_file:
        raise InvalidArgumentError(f"jobs={jobs!r}: there is no file {str(path)!r}")
    return path


def _look_first_in(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)
