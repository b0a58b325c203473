"""Refuse what a rehearsal must not do to the world outside: connections, processes, files.

Python tells an audit hook of such actions before they happen (sys.addaudithook, PEP 578). The hook
can never be removed, so a rehearsal runs in a process of its own. An extension module that calls
the operating system by itself is not seen.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

PROCESSES: Final = frozenset(
    (
        *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.spawn"),
        *("os.posix_spawn", "os.startfile", "pty.spawn", "os.kill", "os.killpg"),
    )
)
HOSTS: Final = frozenset(("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"))
CONNECTIONS: Final = frozenset(("socket.connect", "socket.sendto", "socket.sendmsg"))
CHANGES: Final = frozenset(
    (
        *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"),
        *("os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr", "os.removexattr"),
        "shutil.rmtree",
    )
)
SECOND_PATH: Final = {"os.rename": 1, "os.link": 1, "os.symlink": 1}
"""Events whose second argument is a path as well."""
WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEVICES: Final = frozenset((os.devnull, "/dev/full", "/dev/stderr", "/dev/stdout", "/dev/tty"))
"""What may be written though it is outside: nothing is kept there."""
MAX_TEXT: Final = 200


class Guard:
    """Refuses what would leave ``folder``, while it is on, and counts it.

    Args:
        folder: the one folder in which files may be written.

    """

    def __init__(self, folder: str) -> None:
        self.refused: Counter[str] = Counter()
        """How often each action was refused, by a text such as "connect to 10.0.0.5"."""
        self.is_on = False
        self.folder = Path(folder).resolve()
        sys.addaudithook(self._hear)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Allow everything in the block: what the rehearsal itself does."""
        before, self.is_on = self.is_on, False
        try:
            yield
        finally:
            self.is_on = before

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on or event not in _ASKED:
            return
        self.is_on = False  # to look must not be heard
        try:
            found = list(self._refusals(event, arguments))
        finally:
            self.is_on = True
        if found:
            self.refused[found[0]] += 1
            raise RefusedError(f"a rehearsal refuses to {found[0]}")

    def _refusals(self, event: str, arguments: tuple[Any, ...]) -> Iterator[str]:
        if event in PROCESSES:
            yield f"start or stop a process ({event}: {_short(arguments[0] if arguments else '')})"
        elif event in HOSTS:
            if not _is_loopback(arguments[0]) and _address(arguments[0]) is None:
                yield f"look up the host {_short(arguments[0])}"
        elif event in CONNECTIONS:
            address = arguments[1] if len(arguments) > 1 else None
            host = address[0] if isinstance(address, tuple) and address else address
            if not _is_loopback(host):
                yield f"connect to {_short(host)}"
        else:
            yield from self._changes(event, arguments)

    def _changes(self, event: str, arguments: tuple[Any, ...]) -> Iterator[str]:
        if event == "open":
            path, mode, flags = arguments
            is_written = isinstance(mode, str) and bool(set("wax+") & set(mode))
            if (is_written or (flags or 0) & WRITING) and self._is_outside(path):
                yield f"write {_short(path)}"
        elif event == "sqlite3.connect":
            if self._is_outside(_file_of(arguments[0])):
                yield f"open the database {_short(arguments[0])}"
        elif event in CHANGES:
            for path in map(_named, arguments[: 1 + SECOND_PATH.get(event, 0)]):
                if self._is_outside(path, *_folders(event, arguments)):
                    yield f"change {_short(path)} ({event})"
        elif event == "socket.bind":  # a socket of the file system is a file
            path = arguments[1]
            is_file = isinstance(path, str | bytes) and not os.fsencode(path).startswith(b"\0")
            if is_file and self._is_outside(path):
                yield f"write {_short(path)}"

    def _is_outside(self, path: Any, folder: int = -1) -> bool:
        if isinstance(path, int):  # what is open already
            return False
        path = os.fsdecode(path)
        if not path or path in DEVICES:
            return False
        beside = Path(os.path.realpath(f"/proc/self/fd/{folder}")) if folder >= 0 else Path()
        return not Path(os.path.realpath(beside / path)).is_relative_to(self.folder)


_ASKED: Final = (
    PROCESSES | HOSTS | CONNECTIONS | CHANGES | {"open", "sqlite3.connect", "socket.bind"}
)


def _named(path: Any) -> Any:
    """Return the path of what is open, which can be changed though it was opened to be read."""
    if not isinstance(path, int):
        return path
    try:
        name = str(Path(f"/proc/self/fd/{path}").readlink())
    except OSError:  # it is not open, or the system has no such folder
        return path
    return name if name.startswith("/") else path  # "pipe:[4711]" is not a file


def _folders(event: str, arguments: tuple[Any, ...]) -> list[int]:
    """Return the open folder that a path is relative to, where an event has one."""
    last = arguments[-1] if arguments else -1
    if event in {"os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"} and type(last) is int:
        return [last]
    return []


def _is_loopback(host: Any) -> bool:
    if host is None or host in {"", "localhost", b"", b"localhost"}:
        return True
    found = _address(host)
    return found is not None and found.is_loopback


def _address(host: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(os.fsdecode(host).partition("%")[0])
    except (TypeError, ValueError):
        return None


def _file_of(database: Any) -> Any:
    """Return the file of an SQLite database; empty: it is in memory."""
    name = os.fsdecode(database)
    if name.startswith("file:"):
        name, _, options = name.removeprefix("file:").partition("?")
        if "mode=memory" in options or "mode=ro" in options:
            return ""
    return "" if name == ":memory:" else name


def _short(value: Any) -> str:
    text = os.fsdecode(value) if isinstance(value, str | bytes | os.PathLike) else repr(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
