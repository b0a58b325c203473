"""What to write where a service cannot be imported or started: a variable, a package, or a stub."""

from __future__ import annotations

import linecache
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.simulation.sources import is_library_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

READ: Final = re.compile(r"""(?:getenv|environ|environ\.get)\s*[(\[]\s*["'](\w+)["']""")
"""Where a source reads a variable of the environment."""


def advice(error: BaseException) -> str:
    """Return what lets it succeed, as "; set a variable by ..."; empty: only a repair."""
    if isinstance(error, SyntaxError):
        return ""
    if isinstance(error, ModuleNotFoundError):
        return f"; install the package that has {error.name!r} beside kst-scheduler"
    if isinstance(error, KeyError) and _is_of_environment(error):
        return f"; set it by --set {error.args[0]}=VALUE"
    stub = _stub_for(error) or "MODULE:FUNCTION"
    read = ", ".join(_variables(error))
    names = f" (the file reads {read})" if read else ""
    return f"; set a variable by --set NAME=VALUE{names}, or replace a function by --stub {stub}"


def _is_of_environment(error: BaseException) -> bool:
    frames = [*_frames(error)]
    return bool(frames) and frames[-1].f_locals.get("self") is os.environ


def _variables(error: BaseException) -> list[str]:
    """Return the variables without a value that the reader's files read, of those that failed."""
    files = dict.fromkeys(frame.f_code.co_filename for frame in _frames(error))
    own = (file for file in files if not is_library_path(file))
    names = dict.fromkeys(
        name for file in own for line in linecache.getlines(file) for name in READ.findall(line)
    )
    return [name for name in names if name not in os.environ]


def _frames(error: BaseException) -> Iterator[FrameType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _stub_for(error: BaseException) -> str:
    """Return the outermost function that failed and can be replaced: its module is imported.

    Empty: there is none, or it is private, so that nobody knows what its callers need of it.
    """
    frames = [each for each in _frames(error) if "importlib" not in each.f_code.co_filename]
    last = max((n for n, each in enumerate(frames) if _is_module(each)), default=None)
    if last is None:  # a function of the reader's was called, which is the target itself
        own = (n for n, each in enumerate(frames) if not is_library_path(each.f_code.co_filename))
        last = next(own, len(frames))
    importing = {each.f_globals.get("__name__") for each in frames if _is_module(each)}
    for frame in frames[last + 1 :]:
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        function = frame.f_globals.get(name)
        if module not in importing and getattr(function, "__code__", None) is frame.f_code:
            shown = f"{_public(module, name, function)}:{name}"
            return "" if shown.startswith("_") or "._" in shown or ":_" in shown else shown
    return ""


def _is_module(frame: FrameType) -> bool:
    return frame.f_code.co_name == "<module>"


def _public(module: str, name: str, function: Any) -> str:
    """Return the package that shows the function as its own, as ``sqlalchemy`` does."""
    package = module.partition(".")[0]
    return package if getattr(sys.modules.get(package), name, None) is function else module
