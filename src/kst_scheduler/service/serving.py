"""Serves the application until a signal comes, and keeps the embedded servers running."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import uvicorn

from kst_scheduler.servers.keeping import keep_running
from kst_scheduler.service.app import create_app, lifespan
from kst_scheduler.service.stopping import SECONDS_FOR_REQUESTS, StopLimit

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from types import FrameType

    from kst_scheduler.servers import Server
    from kst_scheduler.service.settings import Settings

logger = logging.getLogger(__name__)


async def serve_until_signal(
    settings: Settings, listener: socket.socket, limit: StopLimit, kept: Sequence[Server]
) -> None:
    """Serve on a port that is open, until SIGTERM, Ctrl-C or the loss of an embedded server."""
    app = create_app(settings)
    limit.loop = asyncio.get_running_loop()
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=SECONDS_FOR_REQUESTS,
    )
    server = _Server(config, limit)
    keeping = asyncio.create_task(keep_running(kept))

    def end_of_keeping(task: asyncio.Task[None]) -> None:
        if not task.cancelled():  # a server is lost for good
            server.stop()

    keeping.add_done_callback(end_of_keeping)
    # The lifespan is entered here, so that its errors are ours to tell, and the runs are drained
    # when no request is left.
    try:
        async with lifespan(app):
            limit.scheduler = app.state.service.scheduler
            host, port = listener.getsockname()[:2]
            logger.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)
            await server.serve(sockets=[listener])
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
    if not keeping.cancelled():
        keeping.result()


class _Server(uvicorn.Server):
    """Ends on Ctrl-C or SIGTERM, and does not raise the signal again, as uvicorn does."""

    def __init__(self, config: uvicorn.Config, limit: StopLimit) -> None:
        super().__init__(config)
        self._limit = limit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.stop()

    def stop(self) -> None:
        """Take no more requests, and let those in progress end."""
        self._limit.begin()
        self.should_exit = True
