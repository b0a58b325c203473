"""Tell an answer that the reader has not begun from one that is wrong."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any


def untouched(answer: Any) -> bool:
    """Tell whether an answer is ``...``, or a function whose body is ``...``, or pass."""
    if answer is ...:
        return True
    return isinstance(answer, FunctionType) and _does_nothing(answer)


def _does_nothing(function: FunctionType) -> bool:
    """Compare what the function executes with what an empty one does: to return None."""
    code = function.__code__
    empty = _empty_coroutine if code.co_flags & inspect.CO_COROUTINE else _empty
    same_steps = code.co_code[::2] == empty.__code__.co_code[::2]  # every other byte is an operand
    return same_steps and set(code.co_consts) <= {None, function.__doc__}


def _empty() -> None: ...


async def _empty_coroutine() -> None: ...
