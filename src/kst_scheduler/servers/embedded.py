"""A server that this process starts, watches until it answers, and takes down with itself."""

from __future__ import annotations

import atexit
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from kst_scheduler.errors import ServerError
from kst_scheduler.redaction import without_passwords
from kst_scheduler.servers.folder import PATIENCE, ServerFolder
from kst_scheduler.servers.server import Server

if TYPE_CHECKING:
    import signal
    import subprocess

_START_LIMIT: Final = 60.0
"""Seconds within which a server must answer: recovery after a crash takes its time."""


class Engine(Protocol):
    """What is particular to one kind of server."""

    name: str
    """As in messages: Valkey, PostgreSQL."""
    variable: str
    """The environment variable that names another server instead."""
    example: str
    """What to write into it."""
    stop_signal: signal.Signals

    def prepare(self, folder: ServerFolder) -> None:
        """Find the binaries and make the data folder; called once before the first launch."""

    def launch(self, folder: ServerFolder, port: int, log: int) -> subprocess.Popen[bytes]:
        """Start the process, which writes to the descriptor ``log``."""

    def is_ready(self, process: subprocess.Popen[bytes], folder: ServerFolder, port: int) -> bool:
        """Return whether this very process answers clients."""

    def is_still_closing(self, log: str) -> bool:
        """Return whether it did not start because its killed predecessor is not gone yet."""

    def url(self, password: str, port: int) -> str:
        """Return where clients connect."""

    def clean_up(self) -> None:
        """Throw away what prepare() made outside the folder."""


class EmbeddedServer(Server):
    """A server of this process, on 127.0.0.1 and with a password of its own."""

    embedded = True

    def __init__(self, engine: Engine, folder: str | Path | None = None) -> None:
        self._engine = engine
        self._wanted = folder
        self._folder: ServerFolder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None
        self._owner = os.getpid()

    @property
    def port(self) -> int:
        """The TCP port, the same until stop()."""
        if self._port is None:
            raise ServerError(f"{self._engine.name} has not been started: call start() first")
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect; holds the password."""
        port = self.port
        assert self._folder is not None  # noqa: S101 - there since the port is
        return self._engine.url(self._folder.password, port)

    @property
    def folder(self) -> Path | None:
        """The folder that was asked for, or the temporary one while there is one."""
        if self._folder is not None:
            return self._folder.root
        return None if self._wanted is None else Path(self._wanted).absolute()

    def start(self) -> Self:
        """Start the server and wait until it answers; does nothing when it runs.

        Raises:
            ServerError: when it cannot be started; says what to set instead.
        """
        if self._process is not None and self._process.poll() is None:
            return self
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise ServerError(self._complaint(str(error))) from error
            raise
        return self

    def _start(self) -> None:
        if self._folder is None:
            self._folder = ServerFolder(self._engine.name.lower(), self._wanted)
            self._owner = os.getpid()
            atexit.register(self.stop)
            self._engine.prepare(self._folder)
            self._folder.log.write_bytes(b"")
        self._launch(self._folder)

    def _launch(self, folder: ServerFolder) -> None:
        """Start the process, again where a moment later or another port will do."""
        deadline = time.monotonic() + PATIENCE
        while True:
            port = self._port or free_port()
            answer = self._try(folder, port)
            if answer is None:
                self._port = port
                return
            may_move = self._port is None and is_taken(port)
            if time.monotonic() > deadline or not (
                may_move or self._engine.is_still_closing(answer)
            ):
                raise ServerError(self._complaint(answer))
            time.sleep(0.05)

    def _try(self, folder: ServerFolder, port: int) -> str | None:
        """Start the process on ``port``; return its last words if it ended, else None."""
        with folder.log.open("ab") as log:
            begin = log.tell()
            process = self._process = self._engine.launch(folder, port, log.fileno())
        deadline = time.monotonic() + _START_LIMIT
        while not self._engine.is_ready(process, folder, port):
            if process.poll() is not None:
                return _read(folder.log, begin) or f"ended with status {process.returncode}"
            if time.monotonic() > deadline:
                self.kill()
                return f"did not answer within {_START_LIMIT:.0f} s\n{_read(folder.log, begin)}"
            time.sleep(0.005)
        return None

    def stop(self) -> None:
        """Stop the server, and throw away state that is not kept; does nothing when stopped."""
        if self._folder is None or self._owner != os.getpid():  # a forked child owns nothing
            return
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self._engine.stop_signal)
            self._process.wait(PATIENCE)
        self._folder.close()
        self._engine.clean_up()
        self._folder = self._process = self._port = None
        atexit.unregister(self.stop)

    def kill(self) -> None:
        """End the server as ``kill -9`` does; its port, password and data wait for restart()."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> Self:
        """Stop the server if it runs, and start it with the same port, password and data.

        Raises:
            ServerError: when it was never started, or its port has been taken meanwhile.
        """
        _ = self.port
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self._engine.stop_signal)
            self._process.wait(PATIENCE)
        return self.start()

    def _complaint(self, reason: str) -> str:
        engine = self._engine
        return (
            f"{engine.name} did not start: {without_passwords(reason).strip()}\n"
            f"To use a server of your own, set {engine.variable}={engine.example}"
        )

    def _shown(self) -> str:
        state = f"on 127.0.0.1:{self._port}" if self._port else "not started"
        return f"{self._engine.name} {state}"


def _read(log: Path, begin: int) -> str:
    """Return the end of what was logged from ``begin`` on."""
    return log.read_bytes()[begin:][-2000:].decode(errors="replace").strip()


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_taken(port: int) -> bool:
    """Return whether somebody listens on ``port`` of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
