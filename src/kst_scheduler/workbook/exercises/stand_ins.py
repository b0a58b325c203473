"""Let an answer find other functions for a while than those that it names."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from kst_scheduler.simulation.reach import Reach, slots_of_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType


@contextlib.contextmanager
def put_in_place(
    answer: Any, stand_ins: Mapping[Any, Any], modules: tuple[ModuleType, ...] = ()
) -> Iterator[None]:
    """Let the answer, and these modules, find other functions in the block.

    A name that the answer has imported, as by ``from time import monotonic``, keeps the real
    function whatever becomes of the module's.
    """
    slots = [
        *Reach(answer).slots,
        *(slot for each in modules for slot in slots_of_attributes(each)),
    ]
    found = [(slot.write, slot.read()) for slot in slots if slot.write]
    changed = [(write, value) for write, value in found if any(value is key for key in stand_ins)]
    for write, value in changed:
        write(stand_ins[value])
    try:
        yield
    finally:
        for write, value in changed:
            write(value)
