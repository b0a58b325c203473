"""The sandbox behind a real socket, for clients that are no part of this process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kst_scheduler.nps.sandbox import DAILY_QUOTA, Sandbox, create_sandbox
from kst_scheduler.nps.settings import BASE_PATH, NpsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LOOPBACK = "127.0.0.1"
SECONDS_TO_CLOSE = 1

logger = logging.getLogger(__name__)


@asynccontextmanager
async def serve_sandbox(
    sandbox: Sandbox | None = None, *, port: int = 0
) -> AsyncIterator[NpsSettings]:
    """Serve a sandbox from the running event loop, on loopback, and yield settings that reach it.

    Port 0 takes any free one; ``settings.base_url`` tells which. On leaving, the port is closed
    and calls that are still waiting are cut after a second.

    Raises:
        OSError: the port is taken.

    """
    sandbox = create_sandbox() if sandbox is None else sandbox
    # Every logging option of uvicorn works on loggers that the reader's own server shares.
    config = uvicorn.Config(
        sandbox.app,
        http=_QuietProtocol,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=SECONDS_TO_CLOSE,
    )
    with socket.create_server((LOOPBACK, port)) as listener:
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.ready.wait()
            yield sandbox.settings(
                base_url=f"http://{LOOPBACK}:{listener.getsockname()[1]}{BASE_PATH}",
                transport=httpx.AsyncHTTPTransport,
            )
        finally:
            server.should_exit = True
            await serving


class _QuietProtocol(H11Protocol):
    """Writes no access log: its lines hold the query, and so the caller's key."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.access_log = False


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves the signals to whoever runs the loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main(arguments: list[str] | None = None) -> None:
    """Serve a sandbox until Ctrl-C, and show how to reach it."""
    parser = argparse.ArgumentParser(
        prog="python -m kst_scheduler.nps.sandbox",
        description="A local stand-in for data.go.kr's National Pension Service workplaces.",
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes any free one")
    parser.add_argument("--workplaces", type=int, default=250)
    parser.add_argument("--quota", type=int, default=DAILY_QUOTA, help="calls a Korean day")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    sandbox = create_sandbox(workplaces=chosen.workplaces, quota=chosen.quota)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve_for_ever(sandbox, chosen.port))


async def _serve_for_ever(sandbox: Sandbox, port: int) -> None:
    async with serve_sandbox(sandbox, port=port) as settings:
        logger.info("export NPS_BASE_URL=%s", settings.base_url)
        await asyncio.Event().wait()
