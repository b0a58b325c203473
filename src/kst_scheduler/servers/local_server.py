"""Serve an ASGI application from the running event loop, on loopback: for a test or a trial."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import ServerError
from kst_scheduler.extras import require_extra

with require_extra("service", "a server of applications"):
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LOOPBACK: Final = "127.0.0.1"
SECONDS_TO_CLOSE: Final = 1


@asynccontextmanager
async def serve_locally(app: Any, *, port: int = 0) -> AsyncIterator[str]:
    """Serve ``app``, its lifespan included, and yield its URL without a slash at the end.

    Port 0 takes any free one. On leaving, the port is closed, calls that are still waiting are cut
    after a second, and the shutdown part of the lifespan runs to its end. No access log is written:
    its lines hold queries, and a query may hold a key.

    Raises:
        OSError: the port is taken.
        ServerError: the lifespan failed before the first request; uvicorn has logged why.

    """
    # Every logging option of uvicorn works on loggers that the reader's own server shares.
    config = uvicorn.Config(
        app,
        http=_QuietProtocol,
        log_config=None,
        timeout_graceful_shutdown=SECONDS_TO_CLOSE,
    )
    with listening(LOOPBACK, port) as listener:
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.ready.wait()
            if server.should_exit:
                raise ServerError("the application did not start: its lifespan failed, see the log")
            yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 takes any free one.

    Raises:
        OSError: the address is taken, or none of this host's.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is said, as socket.create_server() does not: without it asyncio sets no
    # TCP_NODELAY, and an answer in two writes takes 40 ms (base_events._set_nodelay, 3.11).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


class _QuietProtocol(H11Protocol):
    """Writes no access log."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.access_log = False


class _Server(uvicorn.Server):
    """Says when it is ready, and leaves the signals to whoever runs the loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # what uvicorn does about a failed lifespan; it would end the whole loop
            self.should_exit = True
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
