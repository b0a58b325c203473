from __future__ import annotations

import asyncio
import gc
import warnings

from kst_workbook.exercises.awaited import Awaited


async def _reply(number: int) -> int:
    return number + 1


def test_it_is_awaited_like_the_function() -> None:
    """With its arguments and its result."""
    assert asyncio.run(Awaited(_reply)(1)) == 2


def test_what_nobody_awaits_is_closed_without_a_warning() -> None:
    """Python warns of a coroutine that is thrown away before it has begun."""
    fetch = Awaited(_reply)
    for number in range(3):
        assert fetch(number) is fetch.made[-1]
    assert len(fetch.made) == 3
    fetch.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fetch.made.clear()
        gc.collect()
