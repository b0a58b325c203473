"""Child processes that do not outlive this one, whichever way it ends."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence

_PR_SET_PDEATHSIG: Final = 1
# Looked up before any fork: a child of a process with threads may do next to nothing.
_prctl: Final = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class _Spawner:
    """A thread that starts children, and lives as long as the process.

    Linux signals a child when the *thread* that made it ends, so a thread of a pool will not do.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._work, name="kst-scheduler-servers", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._calls.get()()

    def spawn(self, argv: Sequence[str], options: dict[str, Any]) -> subprocess.Popen[bytes]:
        future: Future[subprocess.Popen[bytes]] = Future()

        def call() -> None:
            try:
                future.set_result(subprocess.Popen(argv, **options))  # noqa: S603 - our own binaries
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
                future.set_exception(error)

        self._calls.put(call)
        return future.result()


_lock = threading.Lock()
_spawner: _Spawner | None = None


def spawn(
    argv: Sequence[str], *, ends_by: signal.Signals, **options: Any
) -> subprocess.Popen[bytes]:
    """Start ``argv``; on Linux it gets the signal ``ends_by`` when this process ends.

    It has a session of its own, so that Ctrl-C in a terminal does not reach it. ``options`` are
    those of subprocess.Popen.
    """
    global _spawner  # noqa: PLW0603 - one thread for each process
    with _lock:
        # A forked child has a copy of the object, but not the thread.
        if _spawner is None or _spawner.pid != os.getpid():
            _spawner = _Spawner()
    if _prctl is not None:
        options["preexec_fn"] = _ending_with_this_process(ends_by)
    return _spawner.spawn(argv, {"start_new_session": True, **options})


def _ending_with_this_process(ends_by: signal.Signals) -> Callable[[], None]:
    """Return what the child does before it becomes the server."""
    parent, number = os.getpid(), int(ends_by)

    def ask() -> None:
        assert _prctl is not None  # noqa: S101 - for the type checker
        _prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it ended before it could be asked for
            os._exit(1)

    return ask


def finish(process: subprocess.Popen[bytes]) -> int:
    """Wait until a child has ended, and return its status; interrupted, end it."""
    try:
        return process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
