"""What an explorer shows, as Python that a reader can copy into a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def moment_as_code(moment: datetime) -> str:
    """Return a Korean time as the call of ``kst`` that makes it."""
    parts = [moment.year, moment.month, moment.day, moment.hour, moment.minute]
    while not parts[-1]:
        parts.pop()
    return f"kst({', '.join(map(str, parts))})"


def freezes_as_code(node: str, at: datetime, minutes: int) -> str:
    """Return the list of incidents with that freeze; an empty one for no minutes."""
    if not minutes:
        return "[]"
    return f'[Freeze("{node}", {moment_as_code(at)}, timedelta(minutes={minutes}))]'
