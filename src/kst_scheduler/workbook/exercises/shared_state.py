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

from kst_scheduler.simulation.shared_memory import LOCKS, PLAIN
from kst_scheduler.workbook.exercises.exercise import NotYetError
from kst_scheduler.workbook.exercises.reach import Place, places_of

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
    places = _of_kinds(answer, PLAIN, allowed)
    for place in places:
        place.before = copy.deepcopy(place.read())
    changed: list[Place] = []
    try:
        yield
    finally:
        changed += [place for place in places if place.read() != place.before]
        for place in changed:
            place.write(place.before)
    shared = changed or _of_kinds(answer, _TO_BE_SHARED, allowed)
    if shared:
        raise NotYetError(
            f"Your answer keeps something in {shared[0].name}, and the simulated replicas share "
            "it, as they live in one process. Real replicas have each their own."
        )


def _of_kinds(answer: Any, kinds: tuple[type, ...], allowed: tuple[str, ...]) -> list[Place]:
    return [
        place
        for place in places_of(answer)
        if place.name not in allowed and isinstance(place.read(), kinds)
    ]
