"""What can be seen of a job's function before it runs: which one it is, and what it can take."""

from __future__ import annotations

import dis
import inspect
import sys
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import partial
from pathlib import Path, PurePath
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.user_values import is_a

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import CellType, CodeType

_THIS_PACKAGE: Final = __name__.partition(".")[0]
_FUNCTIONS: Final = (FunctionType, MethodType, BuiltinFunctionType, partial)
_VALUES: Final = (
    *(str, bytes, bool, int, float, complex, type(None), range),
    *(datetime, date, time, timedelta),
)
"""Types, as Decimal, whose values cannot change, and whose ``==`` runs nothing of the reader's."""


class RunsOnce:
    """What ``once`` gives a function as its attribute ``once``: its occurrences are claimed."""


def runs_once(function: Callable[..., object]) -> bool:
    """Tell whether ``once`` made this function, perhaps with other decorators around it."""
    while isinstance(function, partial):
        function = function.func
    parts = (function, type(function).__call__) if callable(function) else (function,)
    return any(is_a(getattr(part, "once", None), RunsOnce) for part in parts)


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

    They are when their module and qualified name are the same: code of an interactive session that
    is run again, and a module that is reloaded, make another object of the same function. ``once``
    and ``partial`` around it make no other one. A method is that of its object's class. All lambdas
    of a module have one name, so their code is compared.

    All functions that one ``def`` makes have one name, too: ``logged(crawl)`` and
    ``logged(report)``, or ``job_for("crawl")`` and ``job_for("moa")``. So if both come from one run
    of the source, what they hold is compared: the variables around them, their defaults and the
    arguments of a ``partial``. Texts, numbers and other values that cannot change are compared as
    such, functions by this function, and everything else by its class, because the state of an
    object may have changed since. A variable that the function itself assigns is state as well.
    """
    return _is_same(one, other, set())


def _is_same(one: Any, other: Any, compared: set[tuple[int, int]]) -> bool:
    if one is other or (id(one), id(other)) in compared:  # a function can hold itself
        return True
    compared.add((id(one), id(other)))
    if _identity(one) != _identity(other):
        return False
    layers, other_layers = _layers(one), _layers(other)
    codes = [getattr(inside[-1], "__code__", None) for inside in (layers, other_layers)]
    if codes[0] is not codes[1] and not _is_lambda(layers[-1]):
        return True  # defined again, perhaps with a correction
    if len(layers) != len(other_layers):
        layers, other_layers = layers[-1:], other_layers[-1:]
    return all(
        _is_same_value(_held(layer), _held(other_layer), compared)
        for layer, other_layer in zip(layers, other_layers, strict=True)
        if getattr(layer, "__code__", None) is getattr(other_layer, "__code__", None)
        or _is_lambda(layer)
    )


def _identity(function: Any) -> tuple[object, ...]:
    while isinstance(function, partial):
        function = function.func
    owner = getattr(function, "__self__", None)
    if owner is not None and not inspect.ismodule(owner):
        owner = owner if inspect.isclass(owner) else type(owner)
        return owner.__module__, owner.__qualname__, function.__name__
    if not hasattr(function, "__qualname__"):
        return type(function).__module__, type(function).__qualname__
    if _is_lambda(function):
        code: CodeType = function.__code__
        return function.__module__, code.co_code, code.co_names, code.co_consts
    return function.__module__, function.__qualname__


def _is_lambda(function: Any) -> bool:
    return isinstance(function, FunctionType) and function.__name__ == "<lambda>"


def _layers(function: Any) -> list[Any]:
    """Return the partials and functions around a job's function, and it at the end."""
    layers: list[Any] = []
    while True:
        if not _passes_on(function):  # once may be written with other arguments
            layers.append(function)
        if isinstance(function, partial):
            function = function.func
        elif isinstance(function, FunctionType) and hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            return layers


def _held(function: Any) -> tuple[object, ...]:
    """Return what a function has beside its code."""
    if isinstance(function, partial):
        return function.args, *_sorted(function.keywords)
    if not isinstance(function, FunctionType):
        return ()
    code = function.__code__
    assigned = {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_DEREF"}
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    variables = {name: _content(cell) for name, cell in cells.items() if name not in assigned}
    return function.__defaults__, *_sorted(function.__kwdefaults__ or {}), *_sorted(variables)


def _sorted(values: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    return tuple((name, values[name]) for name in sorted(values))


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty as yet
        return None


def _is_same_value(one: Any, other: Any, compared: set[tuple[int, int]]) -> bool:
    """Compare two values; no method of a class that is not known here is called."""
    if isinstance(one, _FUNCTIONS) and isinstance(other, _FUNCTIONS):
        return _is_same(one, other, compared)
    kind, other_kind = type(one), type(other)
    if (kind.__module__, kind.__qualname__) != (other_kind.__module__, other_kind.__qualname__):
        return False
    if kind is tuple:
        return len(one) == len(other) and all(
            _is_same_value(each, other_each, compared)
            for each, other_each in zip(one, other, strict=True)
        )
    if issubclass(kind, type):
        return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)
    if issubclass(kind, Enum):
        return bool(one.name == other.name)
    from decimal import Decimal  # noqa: PLC0415 - only here

    is_value = kind in {*_VALUES, Decimal} or issubclass(kind, PurePath)
    return bool(one == other) if is_value else True


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
