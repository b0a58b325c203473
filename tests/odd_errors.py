"""Errors that a job of a reader's may raise, and that are hard to handle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def classless_error() -> Exception:
    """Return an error that does not say what it is; pytest itself would ask a class of a module."""

    class ClasslessError(Exception):
        @property
        def __class__(self) -> Any:
            raise RuntimeError("no class")

        @__class__.setter
        def __class__(self, value: Any) -> None: ...

    return ClasslessError("page")


@dataclass(frozen=True)
class PageError(Exception):
    """An error that nothing can be set on, not even a traceback."""

    page: int
