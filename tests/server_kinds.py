"""The two kinds of embedded servers, and what a test does with either."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import redis

from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from kst_scheduler.servers.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Callable

_TABLE = "CREATE TABLE IF NOT EXISTS words (word text)"


@dataclass(frozen=True)
class Kind:
    """One kind of server: how to make one, write a word into it, and read all words of it."""

    name: str
    variable: str
    make: Callable[[Path | None], EmbeddedServer]
    write: Callable[[str, str], None]
    read: Callable[[str], list[str]]


def _valkey_write(url: str, word: str) -> None:
    with redis.from_url(url) as client:
        client.rpush("words", word)


def _valkey_read(url: str) -> list[str]:
    with redis.from_url(url, decode_responses=True) as client:
        return list(client.lrange("words", 0, -1))


def _postgres_write(url: str, word: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(_TABLE)
        connection.execute("INSERT INTO words VALUES (%s)", [word])


def _postgres_read(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        connection.execute(_TABLE)
        return [word for (word,) in connection.execute("SELECT word FROM words")]


KINDS = {
    "valkey": Kind(
        "valkey",
        "REDIS_URL",
        lambda folder: EmbeddedServer(Valkey(), folder),
        _valkey_write,
        _valkey_read,
    ),
    "postgresql": Kind(
        "postgresql",
        "DATABASE_URL",
        lambda folder: EmbeddedServer(Postgres(), folder),
        _postgres_write,
        _postgres_read,
    ),
}


def listens(port: int) -> bool:
    """Return whether somebody takes connections on a port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def command_lines() -> str:
    """Return the command lines of all processes, as ps shows them."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended a moment ago
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(lines)
