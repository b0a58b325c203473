"""Tell an answer that the reader has not begun from one that is wrong."""

from __future__ import annotations

from types import CodeType, FunctionType
from typing import Any


def untouched(answer: Any) -> bool:
    """Tell whether an answer is ``...``, or a function whose body is ``...``, pass or a docstring.

    A function that takes the place of one, such as a decorated function, is looked at as it is.
    """
    if answer is ...:
        return True
    return isinstance(answer, FunctionType) and _does_nothing(answer.__code__)


def _does_nothing(code: CodeType) -> bool:
    """Compare what the function executes with what an empty one does."""
    empty = _empty_coroutine if code.co_flags == _empty_coroutine.__code__.co_flags else _empty
    return code.co_code == empty.__code__.co_code


def _empty() -> None: ...


async def _empty_coroutine() -> None: ...
