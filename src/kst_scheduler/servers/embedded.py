"""A server that this process starts, watches until it answers, and takes down with itself."""

from __future__ import annotations

import atexit
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from kst_scheduler.errors import ServerError
from kst_scheduler.redaction import without_passwords
from kst_scheduler.servers.folder import ServerFolder
from kst_scheduler.servers.lock import PATIENCE
from kst_scheduler.servers.ports import free_port, is_taken
from kst_scheduler.servers.server import Server

if TYPE_CHECKING:
    import signal

_MAX_START_SECONDS: Final = 60.0
"""Seconds within which a server must answer: recovery after a crash takes its time."""
_MAX_STOP_SECONDS: Final = 30.0
"""Seconds that a server has to stop before it is killed."""


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
        """Find the programs and make the data folder; called once before the first launch."""

    def launch(self, folder: ServerFolder, port: int, log: int) -> subprocess.Popen[bytes]:
        """Start the process, which writes to the descriptor ``log``."""

    def is_ready(self, process: subprocess.Popen[bytes], folder: ServerFolder, port: int) -> bool:
        """Return whether this very process answers clients."""

    def is_still_closing(self, log: str) -> bool:
        """Return whether it did not start because its killed predecessor is not gone yet."""

    def url(self, password: str, port: int) -> str:
        """Return where clients connect."""


class EmbeddedServer(Server):
    """A server of this process, on 127.0.0.1 and with a password of its own."""

    embedded = True

    def __init__(self, engine: Engine, folder: str | Path | None = None) -> None:
        self._engine = engine
        self._kept = None if folder is None else Path(folder).absolute()
        self._folder: ServerFolder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None
        self._owner = os.getpid()

    @property
    def port(self) -> int:
        """The TCP port, the same from start() to stop()."""
        if self._port is None:
            raise ServerError(f"{self._engine.name} has not been started: call start() first")
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect; holds the password."""
        port = self.port
        assert self._folder is not None  # noqa: S101 - there is one while there is a port
        return self._engine.url(self._folder.password, port)

    @property
    def folder(self) -> Path | None:
        """The folder that was asked for, or the temporary one while there is one."""
        return self._kept if self._folder is None else self._folder.root

    @property
    def ending(self) -> str | None:
        """How the server ended by itself, in words; None while it runs, or is stopped."""
        status = None if self._process is None else self._process.poll()
        if status is None:
            return None
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"{self._engine.name} {how}"

    @property
    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the server and wait until it answers; does nothing when it runs.

        Raises:
            ServerError: when it cannot be started; says what to set instead.
        """
        if self._is_running:
            return self
        if self._port is not None:
            return self.restart()
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise ServerError(self._complaint(str(error))) from error
            raise
        return self

    def _start(self) -> None:
        self._owner = os.getpid()
        atexit.register(self.stop)
        self._folder = ServerFolder(self._engine.name.lower(), self._kept)
        self._folder.open()
        self._folder.log.write_bytes(b"")
        self._engine.prepare(self._folder)
        self._launch(self._folder)

    def _launch(self, folder: ServerFolder) -> None:
        """Start the process, again where a moment later or another port will do."""
        deadline = time.monotonic() + PATIENCE
        while True:
            port = self._port or free_port()
            last_words = self._try(folder, port)
            if last_words is None:
                self._port = port
                return
            taken = is_taken(port)
            if taken and self._port is not None:
                raise ServerError(self._complaint(f"another program uses its port {port}"))
            may_wait = taken or self._engine.is_still_closing(last_words)
            if not may_wait or time.monotonic() > deadline:
                raise ServerError(self._complaint(last_words))
            time.sleep(0.05)

    def _try(self, folder: ServerFolder, port: int) -> str | None:
        """Start the process on ``port``; return None once it answers, its last words if not."""
        with folder.log.open("ab") as log:
            begin = log.tell()
            process = self._process = self._engine.launch(folder, port, log.fileno())
        deadline = time.monotonic() + _MAX_START_SECONDS
        while not self._engine.is_ready(process, folder, port):
            if process.poll() is not None:
                return _read(folder.log, begin) or f"it ended with status {process.returncode}"
            if time.monotonic() > deadline:
                self.kill()
                return f"no answer within {_MAX_START_SECONDS:.0f} s\n{_read(folder.log, begin)}"
            time.sleep(0.005)
        return None

    def stop(self) -> None:
        """Stop the server, and throw away state that is not kept; does nothing when stopped."""
        if self._owner != os.getpid():  # a forked child has the object, but not the server
            return
        atexit.unregister(self.stop)
        self._end()
        if self._folder is not None:
            self._folder.close()
        self._folder = self._process = self._port = None

    def _end(self) -> None:
        """Let the process stop by itself; in the end it is killed, for its data outlive that."""
        if self._process is None or not self._is_running:
            return
        self._process.send_signal(self._engine.stop_signal)
        try:
            self._process.wait(_MAX_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server as ``kill -9`` does; its port, password and data wait for restart()."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> Self:
        """Stop the server if it runs, and start it with the same port, password and data.

        Raises:
            ServerError: when it was never started, or its port has been taken meanwhile. Its
                data stay until stop(), so that restart() can be called again.
        """
        _ = self.port
        assert self._folder is not None  # noqa: S101 - there is one while there is a port
        self._end()
        try:
            self._launch(self._folder)
        except OSError as error:
            raise ServerError(self._complaint(str(error))) from error
        return self

    def _complaint(self, reason: str) -> str:
        engine = self._engine
        return (
            f"{engine.name} did not start: {without_passwords(reason).strip()}\n"
            f"To use a server of your own, set {engine.variable}={engine.example}"
        )

    def _shown(self) -> str:
        where = "not started" if self._port is None else f"on 127.0.0.1:{self._port}"
        return f"{self._engine.name} {where}"


def _read(log: Path, begin: int) -> str:
    """Return the end of what was logged from ``begin`` on."""
    return log.read_bytes()[begin:][-2000:].decode(errors="replace").strip()
