"""A process of its own that kills this one when Python cannot end it any more.

A thread that keeps Python's lock (the GIL), as code in C can, lets no other Python code run: no
handler of a signal, and no clock of ``stopping``. Only the C code that notes a signal still runs,
and it writes the signal's number to a pipe (``signal.set_wakeup_fd``)::

    SIGTERM -> C notes it, writes to the pipe -> the watchdog reads it, waits, and kills
                   the handler in Python waits for the lock, for ever

The pipe ends with this process, and the watchdog with the pipe. It needs POSIX.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

_PROGRAM: Final = """
import os, select, signal, sys
seconds, parent = float(sys.argv[1]), int(sys.argv[2])
while True:
    numbers = os.read(0, 4096)
    if not numbers:
        sys.exit()
    if {signal.SIGTERM, signal.SIGINT} & set(numbers):
        break
import time
end = time.monotonic() + seconds
while (left := end - time.monotonic()) > 0:
    if select.select([0], [], [], left)[0] and not os.read(0, 4096):
        sys.exit()
if os.getppid() == parent:
    os.write(2, (
        f"kst-scheduler: still running {seconds:g} s after a signal to stop, and no Python code "
        f"runs: a job keeps Python's lock (the GIL). Process {parent} is killed (SIGKILL, 137)\\n"
    ).encode())
    os.kill(parent, signal.SIGKILL)
"""


@dataclass(frozen=True)
class _Watchdog:
    pid: int
    pipe: int
    wakeup_fd: int
    """What was set before, for the pipe to be put aside."""


_running: Final[list[_Watchdog]] = []


def start_watchdog(seconds: float) -> None:
    """Let this process be killed ``seconds`` after a signal to stop, if it has not ended by then.

    Only in the main thread, as for any handler of a signal.
    """
    if sys.platform == "win32" or not sys.executable:
        return
    stop_watchdog()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    arguments = ["-I", "-S", "-c", _PROGRAM, str(seconds), str(os.getpid())]
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *arguments],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            ],
            # A supervisor signals all processes of a service, and Ctrl-C all of a terminal.
            setsigmask=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
        )
    except OSError:  # no memory for it: the clock of ``stopping`` is left
        os.close(writing)
        return
    finally:
        os.close(reading)
    # Where signals come faster than they are read, one of them is enough.
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    _running.append(_Watchdog(pid, writing, before))


def stop_watchdog() -> None:
    """End it: for a command that was called as a function of another program."""
    while _running:
        watchdog = _running.pop()
        signal.set_wakeup_fd(watchdog.wakeup_fd)
        os.close(watchdog.pipe)
        with suppress(ChildProcessError):
            os.waitpid(watchdog.pid, 0)


def _leave_to_the_parent() -> None:
    """Let a fork be told to end, as those of a process pool are, without an end of its parent."""
    if _running:
        signal.set_wakeup_fd(-1)
        os.close(_running.pop().pipe)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)
