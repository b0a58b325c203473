from __future__ import annotations

import asyncio
import os
import socket

from in_loop import in_loop
from kst_scheduler.once.replica import this_replica


@in_loop
async def test_a_replica_is_named_by_its_host_and_its_process() -> None:
    """And by its event loop, of which a service has one."""
    name = this_replica()
    assert name.startswith(f"{socket.gethostname()}-{os.getpid()}")
    assert this_replica() == name
    assert await asyncio.to_thread(asyncio.run, another()) != name


async def another() -> str:
    """Return the name in another loop."""
    return this_replica()
