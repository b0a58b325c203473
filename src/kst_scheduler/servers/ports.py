"""Free ports of 127.0.0.1."""

from __future__ import annotations

import secrets
import socket
import sys
from typing import Final

from kst_scheduler.errors import ServerError

FIRST_PORT: Final = 20_000
LAST_PORT: Final = 32_767
"""Linux and macOS give connections a port beyond these, so none takes that of a stopped server."""


def free_port() -> int:
    """Return a port that nobody uses at the moment, and that the system gives no connection.

    Raises:
        ServerError: there is none.

    """
    ports = range(FIRST_PORT, LAST_PORT + 1)
    begin = secrets.randbelow(len(ports))  # not by ``random``, whose seed is the reader's
    in_turn: list[int] = [*ports[begin:], *ports[:begin]]
    for port in in_turn:
        if not is_taken(port):
            return port
    raise ServerError(f"no port between {FIRST_PORT} and {LAST_PORT} is free")


def is_taken(port: int) -> bool:
    """Return whether a server could not listen on ``port``."""
    with socket.socket() as probe:
        if sys.platform != "win32":  # as servers do: connections that have ended do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
