from __future__ import annotations

import asyncio
import gc
import inspect
from datetime import timedelta
from types import CoroutineType
from typing import Any

from kst_scheduler import kst, simulate

NIGHT = kst(2026, 5, 10)


async def _clean_up() -> None:
    """End the work of a run that was cut."""


async def _work() -> None:
    mine: list[Any] = []
    mine.append(mine)  # what follows is in a cycle, so only a garbage collection would end it
    try:
        await asyncio.sleep(3600)
    finally:
        mine.append(_clean_up())
        await asyncio.wait_for(mine[-1], 1)  # there is no loop any more, so this begins nothing


def _register(scheduler: Any) -> None:
    scheduler.add_job(_work, "cron", minute=30)


def _never_begun() -> list[Any]:
    return [
        found
        for found in gc.get_objects()
        if type(found) is CoroutineType
        and found.cr_code is _clean_up.__code__
        and inspect.getcoroutinestate(found) == inspect.CORO_CREATED
    ]


def test_no_coroutine_is_left_that_was_never_begun() -> None:
    """Python would warn of it whenever the garbage collector finds it, in anybody's code."""
    gc.disable()
    try:
        simulate(_register, NIGHT, NIGHT + timedelta(hours=1))
        assert not _never_begun()
    finally:
        gc.enable()


def test_the_garbage_collector_is_left_as_it_was() -> None:
    """What the caller has frozen, as a server does before it forks, stays frozen."""
    simulate(_register, NIGHT, NIGHT + timedelta(hours=1))  # what is imported on the way is now
    gc.collect()
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        simulate(_register, NIGHT, NIGHT + timedelta(hours=1))
        assert gc.get_freeze_count() > frozen / 2  # some of it has been freed meanwhile
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_a_caller_without_automatic_garbage_collection_keeps_it_off() -> None:
    """The simulation switches on only what it has switched off."""
    gc.disable()
    try:
        simulate(_register, NIGHT, NIGHT + timedelta(hours=1))
        assert not gc.isenabled()
    finally:
        gc.enable()
