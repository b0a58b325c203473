"""A freeze, which means the same in each explorer: a process and its work stop, time does not.

A run that slept once, for as long as it works, would be over when the process continues. A real one
still has its work to do. So a run is made of pieces, and a freeze delays all that are left.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kst_scheduler.simulation import Freeze
from kst_workbook.explorers.explorer import labelled

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


def freeze_control(node: str, at: datetime, value: int, most: int) -> Any:
    """Return a slider for the minutes for which a node is frozen from ``at`` on."""
    label = f"{node} frozen from {at:%H:%M} (min)"
    return labelled("IntSlider", label, value=value, min=0, max=most)


def freezes(node: str, at: datetime, minutes: int) -> list[Freeze]:
    """Return that freeze as the incidents of a simulation; none for no minutes."""
    return [Freeze(node, at, timedelta(minutes=minutes))] if minutes else []


async def work_in_pieces(
    pieces: int, seconds: int, note: Callable[[], object] = lambda: None
) -> None:
    """Work for that many pieces of so many seconds; ``note`` is called before and after each."""
    note()
    for _ in range(pieces):
        await asyncio.sleep(seconds)
        note()
