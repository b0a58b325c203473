"""What can be seen of a job's function before it runs: which one it is, and what it can take."""

from __future__ import annotations

import inspect
import sys
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import CodeType

_THIS_PACKAGE: Final = __name__.partition(".")[0]


def runs_once(function: Callable[..., object]) -> bool:
    """Tell whether ``once`` made this function, perhaps with other decorators around it."""
    while isinstance(function, partial):
        function = function.func
    parts = (function, type(function).__call__) if callable(function) else (function,)
    # once lies above this module, so its OnceJob is known by its name.
    return any(type(getattr(part, "once", None)).__name__ == "OnceJob" for part in parts)


def name_of(function: Callable[..., object]) -> str:
    """Return the name of a function in its module, for a message."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def full_name_of(function: Callable[..., object]) -> str:
    """Return module and name of a function: "my_jobs:crawl"; of a script, the name of its file."""
    inner: Any = function
    while isinstance(inner, partial):
        inner = inner.func
    module = getattr(inner, "__module__", None) or type(inner).__module__
    if module == "__main__" and (file := getattr(sys.modules[module], "__file__", None)):
        module = Path(file).stem
    return f"{module}:{name_of(inner)}"


def is_same_function(one: Callable[..., object], other: Callable[..., object]) -> bool:
    """Tell whether two functions are the same one of the same source.

    They are when their module and qualified name are the same: a cell of a notebook that is run
    again, and a module that is reloaded, make another object of the same function. ``once`` and
    ``partial`` around it make no other one. A method is that of its object's class. All lambdas
    of a module have one name, so their code is compared.
    """
    return _identity(one) == _identity(other)


def _identity(function: Any) -> tuple[object, ...]:
    while isinstance(function, partial):
        function = function.func
    owner = getattr(function, "__self__", None)
    if owner is not None and not inspect.ismodule(owner):
        owner = owner if inspect.isclass(owner) else type(owner)
        return owner.__module__, owner.__qualname__, function.__name__
    if not hasattr(function, "__qualname__"):
        return type(function).__module__, type(function).__qualname__
    code: CodeType | None = getattr(function, "__code__", None)
    if code is not None and function.__name__ == "<lambda>":
        return function.__module__, code.co_code, code.co_names, code.co_consts
    return function.__module__, function.__qualname__


def check_arguments(
    job_name: str,
    function: Callable[..., object],
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Refuse arguments that the job's function does not take, also inside its decorators.

    What this package puts around a function (``once``, ``hand_off``) passes all arguments on, so
    they must fit what is inside. A decorator of the reader's may add arguments of its own, so
    inside it an argument may be missing, and none may be unknown or one too many; one that takes
    some away says so by its ``__signature__`` (``inspect.signature``, Python 3.11).

    Raises:
        InvalidArgumentError: each run would end in a TypeError.

    """
    inner, all_args, all_kwargs = _inside(function, tuple(args), dict(kwargs))
    for follow_wrapped in (False, True):
        try:
            signature = inspect.signature(inner, follow_wrapped=follow_wrapped)
        except (TypeError, ValueError):
            return  # it is written in C, or can be called in no way; APScheduler says the latter
        bind = signature.bind_partial if follow_wrapped else signature.bind
        try:
            bind(*all_args, **all_kwargs)
        except TypeError as error:
            raise InvalidArgumentError(
                f"job {job_name!r} would fail at each run: {name_of(function)}{signature} and its "
                f"arguments do not fit, {error}; write args=[...] or kwargs={{...}} as it takes "
                "them"
            ) from None


def _inside(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the function inside what passes all arguments on, and its arguments there."""
    while True:
        if isinstance(function, partial):
            args, kwargs = (*function.args, *args), {**function.keywords, **kwargs}
            function = function.func
        elif inspect.ismethod(function):
            args, function = (function.__self__, *args), function.__func__
        elif _passes_on(function):
            function = function.__wrapped__
        elif callable(function) and isinstance(type(function).__call__, FunctionType):
            args, function = (function, *args), type(function).__call__
        else:
            return function, args, kwargs


def _passes_on(function: Any) -> bool:
    """Tell whether a function of this package stands around another one."""
    # Its globals, for functools.wraps gives it the module and the attributes of what is inside.
    module = str(getattr(function, "__globals__", {}).get("__name__", ""))
    return hasattr(function, "__wrapped__") and module.partition(".")[0] == _THIS_PACKAGE
