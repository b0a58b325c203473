"""The limit of a stop: from the signal on, a process has so long, whatever its jobs do.

A drain waits for runs and cancels them, but a thread cannot be cancelled, a coroutine may swallow
its CancelledError, and a job that blocks the event loop blocks the drain. Python then waits for
them at its end, for ever. So a thread of its own watches the clock. Where not even that one can
run, a process of its own does (kst_scheduler.service.watchdog).
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from kst_scheduler.scheduler import drain
from kst_scheduler.scheduler.job_threads import runs_with_threads_anywhere
from kst_scheduler.service.watchdog import start_watchdog, stop_watchdog

if TYPE_CHECKING:
    from types import FrameType

    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler

logger = logging.getLogger(__name__)

EXIT_CODE: Final = 3
"""Of a process that had to end although something was still running."""
SECONDS_FOR_REQUESTS: Final = 3
"""Requests in progress get as long to end before the runs are waited for."""
SECONDS_FOR_THE_REST: Final = 1.0
"""What connections and servers get to close, once the runs have ended."""
SECONDS_TO_LOG: Final = 1.0
"""A log that blocks must not keep the process."""
SECONDS_TO_KILL: Final = 0.5
"""The process ends by itself, if it can, before it is killed."""


_begun: Final[list[threading.Timer]] = []


def end_limits() -> None:
    """End no process any more: for a command that was called as a function of another program."""
    while _begun:
        _begun.pop().cancel()
    stop_watchdog()


class StopLimit:
    """Ends the process when it has not ended by itself in time."""

    def __init__(self, drain_timeout: float) -> None:
        self.seconds = (
            SECONDS_FOR_REQUESTS + drain_timeout + drain.CLEAN_UP_SECONDS + SECONDS_FOR_THE_REST
        )
        self.scheduler: KSTScheduler | None = None
        """Whose runs are named."""
        self.loop: asyncio.AbstractEventLoop | None = None
        """Whose tasks are named where no run is left."""
        self._timer: threading.Timer | None = None

    def watch(self) -> None:
        """Let the process be killed after a signal if it can neither begin nor end by itself."""
        start_watchdog(self.seconds + SECONDS_TO_LOG + SECONDS_TO_KILL)

    def begin(self) -> None:
        """Count from now on; a second signal does not begin anew."""
        if self._timer is None:
            self._timer = threading.Timer(self.seconds, self._end)
            self._timer.daemon = True
            self._timer.start()
            _begun.append(self._timer)

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Begin, and end the process as Ctrl-C does: the handler of a signal."""
        self.begin()
        raise KeyboardInterrupt

    def _end(self) -> None:
        # This thread must not wait for a lock: the main thread may be frozen with it.
        log = threading.Thread(target=self._log, daemon=True)
        log.start()
        log.join(SECONDS_TO_LOG)
        os._exit(EXIT_CODE)

    def _log(self) -> None:
        logger.error(
            "still running %g s after the stop began, so the process ends with exit code %d: %s",
            self.seconds,
            EXIT_CODE,
            self._still_running() or "unknown",
        )

    def _still_running(self) -> str:
        """Name the runs; where there is none, the tasks and threads that keep the process."""
        runs = list(self.scheduler.running_occurrences()) if self.scheduler else []
        # Of a run whose coroutine was cancelled, the threads may be left.
        runs += [run for run in runs_with_threads_anywhere() if run not in runs]
        if runs:
            return ", ".join(map(str, runs))
        tasks = asyncio.all_tasks(self.loop) if self.loop else set()
        threads = [each for each in threading.enumerate() if not each.daemon]
        main = threading.main_thread()
        return ", ".join(
            sorted(f"task {task.get_name()!r}" for task in tasks)
            + sorted(f"thread {each.name!r}" for each in threads if each is not main)
        )
