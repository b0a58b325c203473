"""What the time is, for the simulating thread alone; every other thread keeps the real clock.

time-machine patches ``datetime`` and ``time`` in C, once. Its traveller is replaced by one that
asks the world, so nothing has to be done as virtual time goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import _time_machine  # type: ignore[import-not-found]
import time_machine

from kst_scheduler.errors import SimulationError
from kst_scheduler.fire_times.instants import SECOND
from kst_scheduler.simulation.loop import VirtualLoop
from kst_scheduler.simulation.threads import submit, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.simulation.world import World

_world: World | None = None
_one_at_a_time = threading.Lock()

_real_sleep = time.sleep
_real_monotonic = time.monotonic
_real_monotonic_ns = time.monotonic_ns
_real_submit = ThreadPoolExecutor.submit
_real_process_submit = ProcessPoolExecutor.submit
_real_result = Future.result
_real_new_event_loop = asyncio.events.new_event_loop


def current_world() -> World | None:
    """Return the world that runs in this thread, or None outside a simulation."""
    world = _world
    return world if world is not None and world.thread_id == threading.get_ident() else None


@contextlib.contextmanager
def virtual_time(world: World) -> Iterator[None]:
    """Give the calling thread the world's time, and put everything back at the end.

    The patches are process-wide, so one simulation runs at a time; another thread's waits its turn.
    """
    global _world  # noqa: PLW0603 - one simulation a process, see above
    if current_world() is not None:
        raise SimulationError("a simulated job cannot start a simulation of its own")
    with _one_at_a_time, _outside_any_loop():
        trip = time_machine.travel(0, tick=False)  # an int, as a zoned time would set TZ
        trip.start()
        # Private: the stack's last traveller answers every call (time-machine 3.6.0).
        time_machine.traveller_stack[-1] = _WorldTraveller(0, None, tick=False)
        _world = world
        try:
            with _patches():
                yield
        finally:
            _world = None
            trip.stop()


@contextlib.contextmanager
def real_time() -> Iterator[None]:
    """Give the simulating thread the real clock for a moment."""
    global _world  # noqa: PLW0603 - see virtual_time
    world, _world = _world, None
    try:
        yield
    finally:
        _world = world


class _WorldTraveller(time_machine.Traveller):
    def time_ns(self) -> int:
        world = _world
        if world is None or world.thread_id != threading.get_ident():
            real: int = _time_machine.original_time_ns()
            return real
        strand = world.current
        return (world.now + strand.host.skew) * 1000 if strand else world.now * 1000


@contextlib.contextmanager
def _outside_any_loop() -> Iterator[None]:
    """Hide a loop that runs already, such as the Jupyter kernel's, and its current task."""
    loop = asyncio._get_running_loop()
    if loop is None:
        yield
        return
    task = asyncio.current_task(loop)
    if task is not None:
        asyncio._leave_task(loop, task)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)
        if task is not None:
            asyncio._enter_task(loop, task)


@contextlib.contextmanager
def _patches() -> Iterator[None]:
    """Patch what time-machine leaves alone: waiting, the monotonic clock, threads, new loops."""
    replaced: list[tuple[Any, str, Any]] = [
        (time, "sleep", _sleep),
        (time, "monotonic", _monotonic),
        (time, "monotonic_ns", _monotonic_ns),
        (Future, "result", _result),
        (ThreadPoolExecutor, "submit", _submit),
        (ProcessPoolExecutor, "submit", _submit_to_process),
        (asyncio, "new_event_loop", _new_event_loop),
        (asyncio.events, "new_event_loop", _new_event_loop),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    try:
        for owner, name, value in replaced:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in originals:
            setattr(owner, name, value)


def _sleep(seconds: float) -> None:
    world = current_world()
    if world is None:
        _real_sleep(seconds)
    else:
        world.sleep(seconds)


def _monotonic_ns() -> int:
    world = current_world()
    return _real_monotonic_ns() if world is None else (world.now - world.start) * 1000


def _monotonic() -> float:
    world = current_world()
    return _real_monotonic() if world is None else (world.now - world.start) / SECOND


def _submit(pool: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    world = current_world()
    if world is None:
        return _real_submit(pool, function, *args, **kwargs)
    return submit(world, pool, function, *args, **kwargs)


def _result(future: Any, timeout: float | None = None) -> Any:
    world = current_world()
    if world is None:
        return _real_result(future, timeout)
    wait_for(world, future, timeout)
    return _real_result(future, 0)


def _submit_to_process(pool: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    if current_world() is None:
        return _real_process_submit(pool, function, *args, **kwargs)
    raise SimulationError(
        "a process pool runs in real time, so a simulation cannot; use a thread pool there"
    )


def _new_event_loop() -> asyncio.AbstractEventLoop:
    world = current_world()
    return _real_new_event_loop() if world is None else VirtualLoop(world)
