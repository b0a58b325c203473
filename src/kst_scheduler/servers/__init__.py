"""A real Valkey and a real PostgreSQL, started from wheels: no Docker, no root, nothing left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kst_scheduler.servers.postgres import embedded_postgres
from kst_scheduler.servers.server import Server
from kst_scheduler.servers.valkey import embedded_valkey

if TYPE_CHECKING:
    from kst_scheduler.servers.local_server import serve_locally

__all__ = ["Server", "embedded_postgres", "embedded_valkey", "serve_locally"]


def __getattr__(name: str) -> Any:
    if name != "serve_locally":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kst_scheduler.servers.local_server import serve_locally  # noqa: PLC0415 - needs uvicorn

    return serve_locally
