"""What else a simulation must hold still in its process, and put back: chance, Ctrl-C and noise."""

from __future__ import annotations

import contextlib
import logging
import random
import signal
import threading
import uuid
import warnings
from typing import TYPE_CHECKING

import apscheduler.job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from kst_scheduler.simulation.world import World


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """Let ``random`` (jitter, say) and the ids of jobs without one come out the same every time."""
    state, make_id = random.getstate(), apscheduler.job.uuid4
    random.seed(0)
    ids = random.Random(0)  # noqa: S311 - names, not secrets
    # apscheduler.job.uuid4: APScheduler 3.11.3 names a job without an id by it.
    apscheduler.job.uuid4 = lambda: uuid.UUID(int=ids.getrandbits(128), version=4)
    try:
        yield
    finally:
        apscheduler.job.uuid4 = make_id
        random.setstate(state)


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
        interrupts.append(KeyboardInterrupt())
        world.fail(interrupts[0])
        if world.running:
            raise interrupts[0]

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
        with warnings.catch_warnings():
            # Without a loop, a `finally` of theirs leaves behind what it would await.
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            yield
    finally:
        logging.disable(level)
