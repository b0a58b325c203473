"""Let an answer find other functions for a while than those that it names."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from kst_scheduler.simulation.reach import Reach, exchanged, slots_of_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from types import ModuleType


def replace_functions(
    answer: Any, replacements: Mapping[Any, Any], modules: tuple[ModuleType, ...] = ()
) -> AbstractContextManager[None]:
    """Let the answer, and these modules, find other functions in the block.

    A name that the answer has imported, as by ``from time import monotonic``, keeps the real
    function whatever becomes of the module's.
    """
    slots = [*Reach(answer).slots, *chain.from_iterable(map(slots_of_attributes, modules))]
    by_id = {id(key): value for key, value in replacements.items()}
    return exchanged(slots, lambda value: by_id.get(id(value)))
