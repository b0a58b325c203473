"""Thread pools in virtual time: each worker thread is a strand of the node that uses the pool."""

from __future__ import annotations

import functools
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from kst_scheduler.fire_times.instants import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from kst_scheduler.simulation.world import World


class _Workers:
    """The work that waits for a pool, and how many of its threads are busy."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.busy = 0
        self.queue: deque[Callable[[], None]] = deque()


_workers: WeakKeyDictionary[ThreadPoolExecutor, _Workers] = WeakKeyDictionary()


def submit(
    world: World,
    pool: ThreadPoolExecutor,
    function: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Future[Any]:
    """Do what ``ThreadPoolExecutor.submit`` does, on a strand in place of a thread."""
    if pool._shutdown:
        raise RuntimeError("cannot schedule new futures after shutdown")
    if world.current is None:
        raise RuntimeError("only a simulated node has threads in virtual time")
    future: Future[Any] = Future()
    # _max_workers is private, checked on CPython 3.11 to 3.13.
    workers = _workers.setdefault(pool, _Workers(pool._max_workers))
    workers.queue.append(functools.partial(_work, future, function, args, kwargs))
    if workers.busy < workers.most:
        workers.busy += 1
        world.spawn(world.current.host, functools.partial(_serve, workers))
    return future


def wait_for(world: World, future: Future[Any], timeout: float | None) -> None:
    """Let the running strand wait until ``future`` is done, as ``Future.result`` lets a thread."""
    strand = world.current
    if strand is None or future.done():
        return
    until = None if timeout is None else world.now + round(timeout * SECOND)
    future.add_done_callback(lambda _done: world.wake(strand))
    while not future.done() and (until is None or world.now < until):
        strand.selecting = True
        world.park(until)
        strand.selecting = False


def _serve(workers: _Workers) -> None:
    while workers.queue:
        workers.queue.popleft()()
    workers.busy -= 1


def _work(
    future: Future[Any], function: Callable[..., Any], args: Any, kwargs: dict[str, Any]
) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
        future.set_exception(error)
    else:
        future.set_result(result)
