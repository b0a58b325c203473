from __future__ import annotations

import ast
import asyncio
import inspect
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import apscheduler.executors.base
import apscheduler.schedulers.base
import pytest
import time_machine
from test_world import Host

from kst_scheduler.fire_times.instants import NEVER, microseconds
from kst_scheduler.simulation.clock import virtual_time
from kst_scheduler.simulation.loop import VirtualLoop
from kst_scheduler.simulation.world import World

if TYPE_CHECKING:
    from types import ModuleType


def test_private_ground_of_asyncio() -> None:
    """The names of asyncio that virtual time stands on are there, and do what they did."""
    loop = VirtualLoop(World(0, 1))
    try:
        assert len(loop._files) == 1  # the loop's own wake-up pipe
        round_of_the_loop = inspect.getsource(asyncio.BaseEventLoop._run_once)  # type: ignore[attr-defined]
        assert "self._selector.select(timeout)" in round_of_the_loop
        added = ("self.time() + self._clock_resolution", "now + max(self._clock_resolution, ")
        assert any(words in round_of_the_loop for words in added)  # the second from 3.15 on
        for words in ("self._ready.popleft()", "heapq.heappop(self._scheduled)", "handle._run()"):
            assert words in round_of_the_loop
    finally:
        loop.close()
    for name in ("_get_running_loop", "_set_running_loop", "_enter_task", "_leave_task"):
        assert callable(getattr(asyncio, name))
    with ThreadPoolExecutor(3) as pool:
        assert pool._max_workers == 3


@pytest.mark.parametrize("module", [apscheduler.executors.base, apscheduler.schedulers.base])
def test_private_ground_of_the_clock_of_apscheduler(module: ModuleType) -> None:
    """These two modules use of ``datetime`` nothing but ``now``."""
    code = ast.parse(inspect.getsource(module))
    named = [each for each in ast.walk(code) if getattr(each, "id", None) == "datetime"]
    used = [each.attr for each in ast.walk(code) if getattr(each, "value", None) in named]  # type: ignore[attr-defined]
    assert used == ["now"] * len(named)


def test_private_ground_of_time_machine() -> None:
    """The last traveller of time-machine's stack answers every call, by its time_ns."""

    class Fixed(time_machine.Traveller):
        def time_ns(self) -> int:
            return 1_500_000_000

    with time_machine.travel(0, tick=False):
        time_machine.traveller_stack[-1] = Fixed(0, None, tick=False)
        import time

        assert time.time() == 1.5


@pytest.mark.parametrize("zone", [None, UTC, ZoneInfo("Asia/Seoul"), ZoneInfo("America/New_York")])
def test_the_clock_of_apscheduler_is_that_of_time_machine(zone: ZoneInfo | None) -> None:
    """To the microsecond, before, in and after an hour that comes twice."""
    library: Any = apscheduler.schedulers.base
    for moment in (datetime(2026, 11, 1, hour, 30, 0, 7, tzinfo=UTC) for hour in range(4, 8)):
        with virtual_time(World(microseconds(moment), NEVER)):
            read, expected = library.datetime.now(zone), datetime.now(zone)
        assert (read, read.fold, read.tzinfo) == (expected, expected.fold, expected.tzinfo)
        assert type(read) is datetime
    assert library.datetime is datetime


def test_a_loop_outlives_its_simulation_only_closed() -> None:
    """Run after its simulation, the loop says so instead of waiting for ever."""
    loop = VirtualLoop(World(0, 1))
    try:
        with pytest.raises(RuntimeError, match="its simulation is over"):
            loop.run_until_complete(asyncio.sleep(1))
    finally:
        loop.close()


class PlainLoop(VirtualLoop):
    """A virtual loop whose turns are all asyncio's own."""

    _run_once = asyncio.SelectorEventLoop._run_once  # type: ignore[attr-defined]


def order_of_calls(kind: type[VirtualLoop], seed: int) -> list[tuple[int, float]]:
    """Return the number and the time of some hundred calls, many of them at one moment."""
    world, draw = World(0, 10**9), random.Random(seed)  # noqa: S311 - no secret
    loop, order, timers = kind(world), list[tuple[int, float]](), list[asyncio.TimerHandle]()

    def call(number: int) -> None:
        order.append((number, loop.time()))
        if len(order) < 300:
            loop.call_soon(call, len(order))
            timers.extend(loop.call_later(draw.choice([1, 2]), call, -n) for n in range(3))
            draw.choice(timers).cancel()
        if not draw.randrange(9):
            world.sleep(1)

    loop.call_soon(call, 0)
    world.spawn(Host(), loop.run_forever, loop)
    world.run()
    world.close()
    loop.close()
    return order


@pytest.mark.parametrize("seed", range(20))
def test_short_turns_keep_the_order_of_asyncio(seed: int) -> None:
    """Timers of one moment come in the order that asyncio's heap gives them, cancelled ones too."""
    assert order_of_calls(VirtualLoop, seed) == order_of_calls(PlainLoop, seed)
