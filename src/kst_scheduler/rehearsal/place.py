"""A place in the source of a service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class Place:
    """A line of the reader's code."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else ""


NOWHERE: Final = Place()


def shown(file: str, current: str) -> str:
    """Return a file as it is named from the folder ``current``; in full, if it is elsewhere."""
    path = Path(file)
    return path.relative_to(current).as_posix() if path.is_relative_to(current) else file
