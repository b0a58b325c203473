"""Start an embedded server again when it has ended by itself: killed, crashed, out of memory."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kst_scheduler.servers.server import Server

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS: Final = 1.0
MAX_RESTARTS: Final = 5
SECONDS_OF_RESTARTS: Final = 300.0
"""A server that ends more often than MAX_RESTARTS within this time cannot be kept."""


async def keep_running(servers: Sequence[Server]) -> None:
    """Look after servers until cancelled, and start each again that has ended.

    Raises:
        ServerError: one cannot be started again, or ends again and again.

    """
    restarts: dict[Server, deque[float]] = {server: deque() for server in servers}
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        for server in servers:
            if server.ending:
                await _restart(server, server.ending, restarts[server])


async def _restart(server: Server, ending: str, times: deque[float]) -> None:
    now = asyncio.get_running_loop().time()
    times.append(now)
    while times[0] < now - SECONDS_OF_RESTARTS:
        times.popleft()
    if len(times) > MAX_RESTARTS:
        raise ServerError(
            f"{ending}, for the {len(times)}th time within {SECONDS_OF_RESTARTS:g} s; "
            f"its log is in {server.folder}"
        )
    logger.warning("%s; it is started again", ending)
    try:
        await asyncio.to_thread(server.restart)
    except ServerError as error:
        raise ServerError(f"{ending}, and could not be started again: {error}") from error
    logger.info("%r runs again", server)
