"""Hand an answer something to await, and clean up where it forgets to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Awaited:
    """An ``async def`` function, and the coroutines that were made of it and perhaps left alone."""

    def __init__(self, function: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._function = function
        self.made: list[Coroutine[Any, Any, Any]] = []

    def __call__(self, *arguments: Any) -> Coroutine[Any, Any, Any]:
        """Return what the function returns, and take note of it."""
        coroutine = self._function(*arguments)
        self.made.append(coroutine)
        return coroutine

    def close(self) -> None:
        """Close what nobody has awaited: Python would warn of it, at some time."""
        for coroutine in self.made:
            coroutine.close()
