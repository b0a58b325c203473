"""A limit in time that also holds in a task that is being cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Do what ``asyncio.timeout`` does.

    Python 3.11.2, which Debian 12 has, makes no TimeoutError of the end of a limit where the task
    had been cancelled before, as in the last write of a run that a drain has cut: there it looks
    like one more cancellation.

    Raises:
        TimeoutError: the limit came before the end of the block.

    """
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield limit
    except asyncio.CancelledError:
        if limit.expired() and task is not None and task.cancelling() <= cancelled:
            raise TimeoutError from None
        raise
