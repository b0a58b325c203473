"""End a simulation that is blocked, with an error that names the line.

Simulated code runs in steps: a step ends when the code waits in virtual time. If one step lasts for
seconds, a job either waits for something real, such as a lock that was created before the
simulation, or it computes without end.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import linecache
import signal
import sys
import sysconfig
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import SimulationBlockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from kst_scheduler.simulation.world import World

INTERVAL: Final = 1.0
"""Real seconds between two looks."""
MAX_IDLE_LOOKS: Final = 7
"""A job counts as blocked after this many looks at the same step in a row without CPU time."""
MAX_CPU_SECONDS: Final = 9.0
"""CPU time that one step may take. It may include up to one INTERVAL of the step before."""
IDLE: Final = 0.01
"""A thread that uses less than this share of a CPU is waiting."""

_LIBRARIES: Final = (sysconfig.get_path("stdlib"), str(Path(__file__).parents[2]))
_DEBUGGERS: Final = ("bdb", "pdb")


@contextlib.contextmanager
def watched(world: World) -> Iterator[None]:
    """End a simulation that is blocked.

    A real thread looks once a second. It interrupts a simulation in the main thread as Ctrl-C does,
    which ends a wait and a computation. In another thread it can interrupt only a computation. A
    wait continues there, so the error is printed at once, and raised when the wait ends.
    """
    over, meter = threading.Event(), _Meter(world)
    with _alarm(world, meter) as put_off:
        watchdog = threading.Thread(
            target=_watch,
            args=(world, over, meter, put_off),
            name="kst-scheduler-watchdog",
            daemon=True,
        )
        watchdog.start()
        try:
            yield
        finally:
            over.set()
            watchdog.join()


class _Meter:
    """The CPU time that the current step has used."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.clock = _cpu_clock(world.thread_id)
        self._steps = world.steps
        self._began = self._seen = self.clock()

    def look(self) -> bool:
        """Look at the steps; return whether a new one has begun since the last look."""
        last, self._seen = self._seen, self.clock()
        if self._world.steps == self._steps:
            return False
        self._steps, self._began = self._world.steps, last
        return True

    def restart(self) -> None:
        """Begin to count anew."""
        self._began = self.clock()

    def is_full(self) -> bool:
        """Tell whether the step has used up its CPU time."""
        return self.clock() - self._began >= MAX_CPU_SECONDS


def _watch(
    world: World, over: threading.Event, meter: _Meter, put_off: Callable[[], object]
) -> None:
    idle_looks, at_look = 0, meter.clock()
    while not over.wait(INTERVAL):
        put_off()
        now = meter.clock()
        is_idle, at_look = now - at_look < IDLE * INTERVAL, now
        if meter.look():
            idle_looks = 0
            continue
        idle_looks = idle_looks + 1 if is_idle else 0
        if idle_looks < MAX_IDLE_LOOKS and not meter.is_full():
            continue
        if _end_blocked(world, sys._current_frames().get(world.thread_id), waits=is_idle):
            return
        idle_looks = 0
        meter.restart()


@contextlib.contextmanager
def _alarm(world: World, meter: _Meter) -> Iterator[Callable[[], object]]:
    """Look from a signal handler, where the watchdog's thread cannot run; yield what delays it.

    A regular expression that backtracks holds the GIL, so no other thread runs. In the main thread
    it does check for signals. The timer of CPU time sends one, unless the caller uses that timer.
    """
    if not _has_alarm(world):
        yield lambda: None
        return

    def look(_number: int, frame: FrameType | None) -> None:
        if not meter.look() and meter.is_full():
            _end_blocked(world, frame, waits=False)

    def put_off() -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 2 * INTERVAL, INTERVAL)

    signal.signal(signal.SIGVTALRM, look)
    try:
        put_off()
        yield put_off
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)


def _has_alarm(world: World) -> bool:
    return (
        hasattr(signal, "setitimer")
        and threading.main_thread().ident == world.thread_id
        and signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL
        and signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    )


def _end_blocked(world: World, frame: FrameType | None, *, waits: bool) -> bool:
    """End the simulation, unless it is over or in a debugger; return whether it was ended."""
    if frame is None or not world.running or _is_debugged(frame):
        return False
    _interrupt(world, SimulationBlockedError(_place(frame), waits=waits))
    return True


def _cpu_clock(thread_id: int) -> Callable[[], float]:
    if hasattr(time, "pthread_getcpuclockid"):
        clock_id = time.pthread_getcpuclockid(thread_id)
        return lambda: time.clock_gettime(clock_id)
    return time.process_time


def _interrupt(world: World, error: SimulationBlockedError) -> None:
    world.fail(error)
    if threading.main_thread().ident == world.thread_id:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(world.thread_id, signal.SIGINT)
        else:
            _thread.interrupt_main()
        return
    sys.stderr.write(f"{error}\n")
    exception = ctypes.py_object(SimulationBlockedError)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(world.thread_id), exception)


def _is_debugged(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") in _DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType) -> str:
    """Return file, line and source of the innermost frame of the user's own code."""
    own: FrameType | None = frame
    while own is not None and own.f_code.co_filename.startswith((*_LIBRARIES, "<frozen")):
        own = own.f_back
    shown = own or frame
    name, number = shown.f_code.co_filename, shown.f_lineno
    source = linecache.getline(name, number, shown.f_globals).strip()
    return f"{name}:{number}" + (f", {source}" if source else "")
