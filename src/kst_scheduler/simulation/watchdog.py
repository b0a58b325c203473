"""Notice that a simulation cannot go on, and end it with the line at which it stands.

Simulated code that waits in virtual time hands over to other code, step by step. Where no step
comes for seconds, the code of one job either waits for something real that never comes, such as a
lock that was made before the simulation, or runs on and on.
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
"""How many looks may find the same step, and no CPU time used, before a job is called blocked."""
MAX_CPU_SECONDS: Final = 9.0
"""CPU time that one step may take; up to a look of it may have been that of the step before."""
IDLE: Final = 0.01
"""Share of a CPU that a thread uses which waits, at most."""

_LIBRARIES: Final = (sysconfig.get_path("stdlib"), str(Path(__file__).parents[1]))
_DEBUGGERS: Final = ("bdb", "pdb", "IPython.core.debugger")


@contextlib.contextmanager
def watched(world: World) -> Iterator[None]:
    """End a simulation that cannot go on.

    A real thread looks. It interrupts the simulation as Ctrl-C does, so in the process's main
    thread whatever blocks is left; in another one it can stop what runs on and on, and can only
    print what blocks.
    """
    over, meter = threading.Event(), _Meter(world)
    with _alarm(world, meter) as wind:
        watchdog = threading.Thread(
            target=_watch,
            args=(world, over, meter, wind),
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
    """How much CPU time the step that runs has taken."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.clock = _cpu_clock(world.thread_id)
        self._steps = world.steps
        self._began = self._seen = self.clock()

    def is_new(self) -> bool:
        """Tell whether the step is another one than at the last look, after which it began."""
        last, self._seen = self._seen, self.clock()
        if self._world.steps == self._steps:
            return False
        self._steps, self._began = self._world.steps, last
        return True

    def forgive(self) -> None:
        """Begin to count anew."""
        self._began = self.clock()

    def is_full(self) -> bool:
        """Tell whether the step has taken all that it may."""
        return self.clock() - self._began >= MAX_CPU_SECONDS


def _watch(world: World, over: threading.Event, meter: _Meter, wind: Callable[[], object]) -> None:
    idle_looks, at_look = 0, meter.clock()
    while not over.wait(INTERVAL):
        wind()
        now = meter.clock()
        is_idle, at_look = now - at_look < IDLE * INTERVAL, now
        if meter.is_new():
            idle_looks = 0
            continue
        idle_looks = idle_looks + 1 if is_idle else 0
        if idle_looks < MAX_IDLE_LOOKS and not meter.is_full():
            continue
        if _blocked(world, sys._current_frames().get(world.thread_id), waits=is_idle):
            return
        idle_looks = 0
        meter.forgive()


@contextlib.contextmanager
def _alarm(world: World, meter: _Meter) -> Iterator[Callable[[], object]]:
    """Look from within the simulating thread, where the watchdog cannot; yield what puts it off.

    A regular expression that backtracks holds Python's lock all the while, so no other thread runs.
    But it heeds signals, in the main thread. The timer of CPU time sends one, unless it is taken.
    """
    if not _has_alarm(world):
        yield lambda: None
        return

    def look(_number: int, frame: FrameType | None) -> None:
        if not meter.is_new() and meter.is_full():
            _blocked(world, frame, waits=False)

    def wind() -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 2 * INTERVAL, INTERVAL)

    signal.signal(signal.SIGVTALRM, look)
    try:
        wind()
        yield wind
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


def _blocked(world: World, frame: FrameType | None, *, waits: bool) -> bool:
    """End the simulation that stands at a frame; return whether it runs, and nobody debugs it."""
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
    """Return file, line and source of the innermost frame of the reader's own code."""
    own: FrameType | None = frame
    while own is not None and own.f_code.co_filename.startswith((*_LIBRARIES, "<frozen")):
        own = own.f_back
    shown = own or frame
    name, number = shown.f_code.co_filename, shown.f_lineno
    source = linecache.getline(name, number, shown.f_globals).strip()
    return f"{name}:{number}" + (f", {source}" if source else "")
