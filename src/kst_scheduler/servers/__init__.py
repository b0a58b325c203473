"""A real Valkey and a real PostgreSQL, started from wheels: no Docker, no root, nothing left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.given import given_server
from kst_scheduler.servers.postgres import Postgres
from kst_scheduler.servers.server import Server
from kst_scheduler.servers.valkey import Valkey

if TYPE_CHECKING:
    from pathlib import Path

    from kst_scheduler.servers.local_server import serve_locally

__all__ = ["Server", "embedded_postgres", "embedded_valkey", "serve_locally"]


def __getattr__(name: str) -> Any:
    if name != "serve_locally":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kst_scheduler.servers.local_server import serve_locally  # noqa: PLC0415 - needs uvicorn

    return serve_locally


def embedded_valkey(folder: str | Path | None = None) -> Server:
    """Return a Valkey (Redis protocol) on 127.0.0.1; use it by ``with``, ``async with`` or start().

    Its ``url`` is ``redis://:PASSWORD@127.0.0.1:PORT/0``. State is kept in the subfolder
    ``valkey`` of ``folder``; without a folder it is thrown away at stop(). Where the environment
    variable REDIS_URL is set, that server is handed back instead, and nothing is started.

    Raises:
        ServerError: at start, when no server can be started; says what to set instead.
    """
    return given_server("REDIS_URL", ("redis", "rediss")) or EmbeddedServer(Valkey(), folder)


def embedded_postgres(folder: str | Path | None = None) -> Server:
    """Return a PostgreSQL on 127.0.0.1; use it by ``with``, ``async with`` or start().

    Its ``url`` is ``postgresql://postgres:PASSWORD@127.0.0.1:PORT/postgres``. State is kept in
    the subfolder ``postgresql`` of ``folder``; without a folder it is thrown away at stop(), and
    not synced to disk. Where the environment variable DATABASE_URL is set, that server is handed
    back instead, and nothing is started.

    Raises:
        ServerError: at start, when no server can be started; says what to set instead.
    """
    schemes = ("postgresql", "postgres")
    return given_server("DATABASE_URL", schemes) or EmbeddedServer(Postgres(), folder)
