"""What else a simulation changes in its process and restores: random, Ctrl-C and log noise."""

from __future__ import annotations

import contextlib
import gc
import inspect
import logging
import random
import signal
import sys
import threading
import uuid
import warnings
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import apscheduler.job
from apscheduler.executors.asyncio import AsyncIOExecutor

from kst_scheduler.errors import SimulationBlockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from kst_scheduler.simulation.world import World


@contextlib.contextmanager
def seeded(seed: int | None = None) -> Iterator[None]:
    """Let ``random`` (jitter, say) and the ids of jobs without one come out the same every time.

    ``random`` follows the seed; the ids are the same with each.
    """
    state, make_id = random.getstate(), apscheduler.job.uuid4
    random.seed(seed or 0)
    ids = random.Random(0)  # noqa: S311 - names, not secrets
    # apscheduler.job.uuid4: APScheduler 3.11.3 names a job without an id by it.
    apscheduler.job.uuid4 = lambda: uuid.UUID(int=ids.getrandbits(128), version=4)
    try:
        yield
    finally:
        apscheduler.job.uuid4 = make_id
        random.setstate(state)


@contextlib.contextmanager
def cancelled_in_order() -> Iterator[None]:
    """Let an AsyncIOExecutor that shuts down cancel its runs in the order in which they began.

    It keeps them in a set (``_pending_futures``, 3.11.3), whose order is that of their addresses.
    """
    start = AsyncIOExecutor.start

    def start_in_order(self: Any, scheduler: Any, alias: str) -> None:
        start(self, scheduler, alias)
        self._pending_futures = _InOrder()

    AsyncIOExecutor.start = start_in_order
    try:
        yield
    finally:
        AsyncIOExecutor.start = start


class _InOrder(dict[Any, None]):
    """As much of a set as that executor needs."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)


@contextlib.contextmanager
def interruptible(world: World) -> Iterator[None]:
    """Let Ctrl-C end the simulation, though APScheduler catches what is raised in a job.

    While clocks are being exchanged it only takes note, and is raised when they are back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
        return

    interrupts: list[KeyboardInterrupt] = []

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if not isinstance(world.failure, SimulationBlockedError):  # then it is the watchdog's
            interrupts.append(KeyboardInterrupt())
            world.fail(interrupts[0])
        if world.running and world.failure is not None:
            raise world.failure

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise interrupts[0]


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Keep quiet while jobs that still run are torn down: their end is no event of the story."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with _no_coroutine_left(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            yield
    finally:
        logging.disable(level)


@contextlib.contextmanager
def _no_coroutine_left() -> Iterator[None]:
    """Close the coroutines that are made here and never begun; Python would warn of them, later.

    A ``finally`` that is torn down leaves such a one where it would await, for there is no loop.
    Cyclic references keep it until the next garbage collection, and that takes long.
    """
    depth, automatic = sys.get_coroutine_origin_tracking_depth(), gc.isenabled()
    sys.set_coroutine_origin_tracking_depth(1)  # in this thread: what others make has no origin
    # Then the youngest generation is empty, and what is made from here on stays in it: nothing
    # older is looked through. A gc.freeze() would do, but undoing it undoes the caller's own.
    gc.collect(0)
    gc.disable()
    try:
        yield
        young = gc.get_objects(generation=0)
        for made in [each for each in young if isinstance(each, CoroutineType)]:
            if made.cr_origin and inspect.getcoroutinestate(made) == inspect.CORO_CREATED:
                made.close()
    finally:
        if automatic:
            gc.enable()
        sys.set_coroutine_origin_tracking_depth(depth)
