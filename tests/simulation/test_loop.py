from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine

from kst_scheduler.simulation.loop import VirtualLoop
from kst_scheduler.simulation.world import World


def test_private_ground_of_asyncio() -> None:
    """The names of asyncio that virtual time stands on are there, and do what they did."""
    loop = VirtualLoop(World(0, 1))
    try:
        assert len(loop._files) == 1  # the loop's own wake-up pipe
        round_of_the_loop = inspect.getsource(asyncio.BaseEventLoop._run_once)  # type: ignore[attr-defined]
        assert "self._selector.select(timeout)" in round_of_the_loop
        added = ("self.time() + self._clock_resolution", "now + max(self._clock_resolution, ")
        assert any(words in round_of_the_loop for words in added)  # the second from 3.15 on
    finally:
        loop.close()
    for name in ("_get_running_loop", "_set_running_loop", "_enter_task", "_leave_task"):
        assert callable(getattr(asyncio, name))
    with ThreadPoolExecutor(3) as pool:
        assert pool._max_workers == 3


def test_private_ground_of_time_machine() -> None:
    """The last traveller of time-machine's stack answers every call, by its time_ns."""

    class Fixed(time_machine.Traveller):
        def time_ns(self) -> int:
            return 1_500_000_000

    with time_machine.travel(0, tick=False):
        time_machine.traveller_stack[-1] = Fixed(0, None, tick=False)
        import time

        assert time.time() == 1.5


def test_a_loop_outlives_its_simulation_only_closed() -> None:
    """Run after its simulation, the loop says so instead of waiting for ever."""
    loop = VirtualLoop(World(0, 1))
    try:
        with pytest.raises(RuntimeError, match="its simulation is over"):
            loop.run_until_complete(asyncio.sleep(1))
    finally:
        loop.close()
