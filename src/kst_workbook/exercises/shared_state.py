"""Refuse answers that work only because all simulated replicas live in one process.

A simulation runs every node in one process, so a global of the reader's would be a perfect lock
between them. Real replicas have each their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.simulation.reach import Reach, Slot
from kst_scheduler.simulation.shared_memory import LOCKS, PLAIN
from kst_workbook.exercises.exercise import NotYetError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TO_BE_SHARED: Final = (*LOCKS, asyncio.Event, threading.Event)
"""What has no use but to be shared."""


@contextlib.contextmanager
def each_replica_for_itself(answer: Any, allowed: tuple[str, ...] = ()) -> Iterator[None]:
    """Refuse an answer whose memory the simulated replicas have shared in the block.

    Looked at are the globals, closures, defaults and attributes of the answer, and of the functions
    and objects beside it that it names, except those ``allowed``. What has changed is put back.

    Raises:
        NotYetError: one of them has changed, or is a lock that holds within one process.

    """
    memory = [(slot, copy.deepcopy(slot.read())) for slot in _of_kinds(answer, PLAIN, allowed)]
    changed: list[Slot] = []
    try:
        yield
    finally:
        for slot, before in memory:
            if slot.read() != before and slot.write:
                changed.append(slot)
                slot.write(before)
    shared = changed or _of_kinds(answer, _TO_BE_SHARED, allowed)
    if shared:
        raise NotYetError(
            f"Your answer keeps something in {_name_of(shared[0])}, and the simulated replicas "
            "share it, as they live in one process. Real replicas have each their own."
        )


def _of_kinds(answer: Any, kinds: tuple[type, ...], allowed: tuple[str, ...]) -> list[Slot]:
    return [
        slot
        for slot in Reach(answer).slots
        if slot.kind and _name_of(slot) not in allowed and isinstance(slot.read(), kinds)
    ]


def _name_of(slot: Slot) -> str:
    return "a default argument" if slot.kind == "DEFAULT" else f"`{slot.key}`"
