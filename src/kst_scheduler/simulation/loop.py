"""The event loop of a simulated node: asyncio's own, except that it parks where it would sleep."""

from __future__ import annotations

import _thread
import asyncio
import math
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from greenlet import GreenletExit

from kst_scheduler.fire_times.instants import SECOND, moment_at

if TYPE_CHECKING:
    import contextvars
    from collections import deque
    from collections.abc import Callable
    from datetime import datetime
    from typing import Self

    from kst_scheduler.simulation.world import Strand, World

HOST_CORES: Final = 4
"""Cores of every simulated host, so that results do not depend on the real one."""

DEFAULT_THREADS: Final = min(32, HOST_CORES + 4)
"""Size of a loop's default thread pool (CPython 3.11, concurrent.futures.ThreadPoolExecutor)."""

REAL_INPUT_PATIENCE: Final = 0.05
"""Real seconds for which a loop with an open socket waits before virtual time continues."""


class _InOrder:
    """A hash that counts, as an address would differ from one simulation to the next.

    asyncio keeps tasks and futures in sets (wait, as_completed, TaskGroup, all_tasks), and gives
    them out, calls them back and cancels them in the order of their hashes.
    """

    _number: int

    def __new__(cls, *_args: Any, loop: VirtualLoop, **_kwargs: Any) -> Self:
        self = super().__new__(cls)
        self._number = next(loop.world.numbers)
        return self

    def __hash__(self) -> int:
        return self._number


class Task(_InOrder, asyncio.Task[Any]):
    """A task of a simulated node."""


class Future(_InOrder, asyncio.Future[Any]):
    """A future of a simulated node."""


def as_completed(world: World, futures: Any, **options: Any) -> Any:
    """Do what ``asyncio.as_completed`` does, and begin coroutines in the order of the call."""
    if world.current is not None and not isinstance(futures, Awaitable):
        futures = [asyncio.ensure_future(each) for each in dict.fromkeys(futures)]
    return _as_completed(futures, **options)


_as_completed = asyncio.as_completed


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector event loop whose clock is the world's.

    ``_clock_resolution``, ``_selector`` and ``call_soon_threadsafe``'s being the one way in from
    outside are asyncio's private ground, checked on CPython 3.11 to 3.15.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.set_task_factory(_task)
        self._strand: Strand | None = None
        # The default of 1e-9 is lost in a float after 2**24 s, and timers would never be due.
        self._clock_resolution = 1e-6
        selector = self._selector  # type: ignore[attr-defined]
        self._really_select: Callable[[float], list[Any]] = selector.select
        self._files: dict[int, Any] = selector._fd_to_key
        selector.select = self._select
        self.set_default_executor(ThreadPoolExecutor(DEFAULT_THREADS))

    def time(self) -> float:
        """Return the seconds since the simulation began, whatever the wall clock does."""
        world = self.world  # in one step, as a loop asks more often than for anything else
        elapsed = world.now - world.first_tick
        return elapsed / SECOND if elapsed > 0 else 0.0

    def true_time(self) -> datetime:
        """Return the true time in whole milliseconds, which is the clock of a ledger in memory."""
        return moment_at(self.world.shown)

    def steady_for(self) -> float:
        """Return for how many seconds the host's wall clock goes as this loop's; infinity: always.

        A KSTScheduler asks, so that it need not look at the clock each minute of a simulated year.
        """
        strand = self.world.current
        next_jump = strand.host.next_jump(self.world.now) if strand else None
        return math.inf if next_jump is None else (next_jump - self.world.now) / SECOND

    def create_future(self) -> asyncio.Future[Any]:
        """Create a future."""
        return Future(loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that nobody retrieves, unless it comes of a strand that was unwound.

        A task that blocks at the end of the simulation, or before a look at a failure, ends there.
        """
        error: BaseException | None = context.get("exception")
        while error is not None:
            if isinstance(error, GreenletExit):
                return
            error = error.__context__
        super().call_exception_handler(context)

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Call soon, and wake this loop when another strand or a real thread does the asking."""
        if _thread.get_ident() != self.world.thread_id:
            return super().call_soon_threadsafe(callback, *args, context=context)
        handle = self.call_soon(callback, *args, context=context)
        if self._strand is not None:
            self.world.wake(self._strand)
        return handle

    def _run_once(self) -> None:
        """Run what is ready, as asyncio does: the whole turn if no file is watched, no timer due.

        asyncio drops cancelled timers at once, too: the order of those of one moment depends on it.
        """
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        timer = timers[0] if timers else None
        is_timed = timer is not None and (
            timer.cancelled() or timer.when() < self.time() + self._clock_resolution
        )
        if is_timed or not ready or len(self._files) > 1 or self._debug:  # type: ignore[attr-defined]
            super()._run_once()  # type: ignore[misc]
            return
        self.world.step()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _select(self, timeout: float | None) -> list[Any]:
        """Stand in for the selector: let virtual time pass instead of waiting."""
        world = self.world
        has_sockets = len(self._files) > 1  # one file is the loop's own wake-up pipe
        if timeout == 0:
            world.step()
            return self._really_select(0) if has_sockets else []
        if has_sockets and (events := self._really_select(REAL_INPUT_PATIENCE)):
            return events
        until = None
        if timeout is not None:
            until = world.now + max(1, round(timeout * SECOND))
        strand = self._strand = world.current
        if strand is None:
            raise RuntimeError("this event loop lives in virtual time, and its simulation is over")
        strand.selecting = True
        world.park(until)
        strand.selecting = False
        return self._really_select(0) if has_sockets else []


def _task(loop: Any, coroutine: Any, **options: Any) -> Any:
    return Task(coroutine, loop=loop, **options)
