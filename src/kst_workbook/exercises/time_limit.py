"""Stop what never ends: a loop by the CPU time that it uses, a wait by how long it waits.

The clock on the wall would not do: on a busy machine it runs while an answer that is right stands
in the queue for the processor.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from traceback import FrameSummary, StackSummary, walk_stack
from typing import TYPE_CHECKING, Final, Literal

from kst_workbook.exercises.own_loop import stacks_of_own_loops

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

AGAIN: Final = 1.0
"""Seconds after which what has caught the first interrupt gets another."""

LOOKS: Final = 20
"""How often a block is looked at within its limit."""

IDLE: Final = 0.05
"""The share of CPU time below which a block waits; a busy one gets more on any usable machine."""


class TookTooLongError(Exception):
    """Raised when a block has used up its CPU time, or has waited for too long.

    ``waited`` tells which; ``where`` is its stack when that was noticed, the innermost call last.
    """

    def __init__(self, *, waited: bool, where: list[FrameSummary]) -> None:
        super().__init__("it waited for too long" if waited else "it used up its CPU time")
        self.waited = waited
        self.where = where


@dataclass
class TimeUse:
    """What a block has used so far of its CPU time and of its time to wait."""

    seconds: float
    waiting: float
    tick: float
    """Seconds between two looks."""
    used: float = 0.0
    waited: float = 0.0

    def look(self, used: float) -> Literal["busy", "waiting"] | None:
        """Return what the block has done for too long, given its CPU time so far.

        A tick counts once, however late the look comes: a process that was stopped, or that had to
        queue for the processor, has not waited in the meantime.
        """
        if used - self.used < IDLE * self.tick:
            self.waited += self.tick
        self.used = used
        if used >= self.seconds:
            return "busy"
        return "waiting" if self.waited >= self.waiting else None


@dataclass
class _Watch:
    """What the thread that watches a block shares with the block's own."""

    use: TimeUse
    over: threading.Event = field(default_factory=threading.Event)
    stopped: TookTooLongError | None = None


@contextlib.contextmanager
def time_limit(seconds: float, waiting: float = 30.0) -> Iterator[None]:
    """Interrupt the block as by Ctrl-C when it takes too long, and again until it gives in.

    Counted is the CPU time of this process: of all its threads, since an answer may work in
    threads, and one of a judge's runs in a loop and a thread of its own. That of child processes
    is not: it is known only when they have ended, and then in one sum with those that earlier cells
    have started. What runs a child waits for it.

    A simulation ends cleanly on Ctrl-C; that is why the limit comes as one. Outside the main
    thread, which alone receives interrupts, there is no limit.

    Args:
        seconds: of CPU time.
        waiting: seconds in which next to no CPU time is used, in all.

    Raises:
        TookTooLongError: it took longer.

    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch(TimeUse(seconds, waiting, tick=min(seconds, waiting) / LOOKS))

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if not watch.over.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    threading.Thread(target=_interrupt_when_late, args=(watch,), daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if watch.stopped:
            raise watch.stopped from None
        raise
    finally:
        watch.over.set()
        signal.signal(signal.SIGINT, before)


def _interrupt_when_late(watch: _Watch) -> None:
    """Event.wait counts in real time, also while a simulation has exchanged the clocks."""
    began = time.process_time()
    while not watch.over.wait(watch.use.tick):
        if verdict := watch.use.look(time.process_time() - began):
            watch.stopped = TookTooLongError(waited=verdict == "waiting", where=_where())
            break
    while not watch.over.is_set():
        _interrupt_main_thread()
        watch.over.wait(AGAIN)


def _where() -> list[FrameSummary]:
    """Return the stack of the main thread, and behind it what that thread waits for, if we know."""
    main = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - documented
    stacks = [walk_stack(main)] if main else []
    return [
        frame
        for stack in [*stacks, *stacks_of_own_loops()]
        for frame in reversed(StackSummary.extract(iter(list(stack))))
    ]


def _interrupt_main_thread() -> None:
    if hasattr(signal, "pthread_kill"):  # it ends a wait, too; Windows has no such thing
        main = threading.main_thread().ident
        signal.pthread_kill(main or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
