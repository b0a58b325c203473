"""Stop what never ends."""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

AGAIN: Final = 1.0
"""Seconds after which what has caught the first interrupt gets another."""


class TookTooLongError(Exception):
    """Raised when a block has not ended in its time."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the block as by Ctrl-C when it takes longer, and again until it gives in.

    A simulation ends cleanly on Ctrl-C; that is why the limit comes as one. Outside the main
    thread, which alone receives interrupts, there is no limit.

    Raises:
        TookTooLongError: it took longer.

    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over, late = threading.Event(), threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if not over.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    threading.Thread(target=_interrupt_after, args=(seconds, over, late), daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if late.is_set():
            raise TookTooLongError from None
        raise
    finally:
        over.set()
        signal.signal(signal.SIGINT, before)


def _interrupt_after(seconds: float, over: threading.Event, late: threading.Event) -> None:
    """Event.wait counts in real time, also while a simulation has exchanged the clocks."""
    while not over.wait(AGAIN if late.is_set() else seconds):
        late.set()
        _interrupt_main_thread()


def _interrupt_main_thread() -> None:
    if hasattr(signal, "pthread_kill"):  # it ends a wait, too; Windows has no such thing
        main = threading.main_thread().ident
        signal.pthread_kill(main or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
