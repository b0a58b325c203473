"""Finds the function that adds a service's jobs: "module:function"."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import TYPE_CHECKING

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.guards import nearest

if TYPE_CHECKING:
    from collections.abc import Callable


def jobs_function(jobs: str | Callable[..., object]) -> Callable[..., object]:
    """Return the function that ``jobs`` names, or is; a module is looked for here first.

    Raises:
        InvalidArgumentError: there is no such module or function, or it is an ``async def``.

    """
    function = _found(jobs) if isinstance(jobs, str) else jobs
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise InvalidArgumentError(
            f"jobs={jobs!r} is not a plain function; write def add_jobs(service): ..., which "
            "adds jobs to service.scheduler"
        )
    return function


def _found(jobs: str) -> object:
    module_name, _, name = jobs.partition(":")
    if not (module_name and name):
        raise InvalidArgumentError(
            f"jobs={jobs!r} does not name a function; write module:function, such as "
            "my_service.jobs:add_jobs"
        )
    if os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds strings
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as python -m does
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module was found, and one that it imports was not
        raise InvalidArgumentError(
            f"jobs={jobs!r}: there is no module {error.name!r} in this folder or among the "
            "installed packages"
        ) from None
    if not hasattr(module, name):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise InvalidArgumentError(f"jobs={jobs!r}: no function {name!r}{nearest(name, public)}")
    return getattr(module, name)
