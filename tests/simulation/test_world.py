from __future__ import annotations

import asyncio
import gc
import sys
import time
from datetime import timedelta
from typing import Any

import pytest
from lessons import NIGHT

from kst_scheduler.simulation import simulate
from kst_scheduler.simulation.clock import current_world, virtual_time
from kst_scheduler.simulation.world import LATE, TICK, World


class Host:
    """A host that neither freezes nor has a wrong clock."""

    name = "A"
    skew = 0
    frozen_until = 0

    def next_jump(self, _since: int) -> None:
        """Say that its clock is never set."""


def test_strands_take_turns_in_the_order_of_time() -> None:
    """Each strand runs until it waits; the next wake-up decides who goes on, ties by age."""
    world = World(0, 100_000)
    seen: list[tuple[str, int]] = []

    def strand(name: str, pause: int) -> Any:
        def run() -> None:
            for _ in range(2):
                world.park(world.now + pause)
                seen.append((name, world.now))

        return run

    world.spawn(Host(), strand("slow", 20_000))
    world.spawn(Host(), strand("fast", 10_000))
    world.run()
    world.close()
    order = [("fast", 10), ("slow", 20), ("fast", 20), ("slow", 40)]
    assert seen == [(name, milliseconds * TICK + LATE) for name, milliseconds in order]
    assert world.now == 100_000


def test_nothing_happens_at_the_end_itself() -> None:
    """What is due at the end does not run."""
    world = World(0, 10)
    seen: list[int] = []
    world.call_at(9, lambda: seen.append(9))
    world.call_at(10, lambda: seen.append(10))
    world.run()
    assert seen == [9]


def test_only_a_strand_can_wait() -> None:
    """Waiting outside every strand is an error, not an endless wait."""
    world = World(0, 10)
    with virtual_time(world), pytest.raises(RuntimeError, match="only a simulated node can wait"):
        time.sleep(1)
    assert current_world() is None


def test_threads_that_have_ended_are_forgotten() -> None:
    """A sync job that runs often leaves no strand behind for each run."""
    counts = []

    def register(scheduler: Any) -> None:
        def look() -> None:
            world = current_world()
            counts.append(len(world._strands) if world else 0)

        scheduler.add_job(look, "cron", minute="*")

    simulate(register, NIGHT, NIGHT + timedelta(hours=10))
    assert len(counts) == 600
    assert max(counts) == 2


def test_nothing_of_a_simulation_stays_in_memory() -> None:
    """Ten thousand of them run in one process; the garbage collector finds each one's world."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(asyncio.sleep, "interval", minutes=10, args=[1])

    def worlds() -> int:
        gc.collect()
        return sum(type(found) is World for found in gc.get_objects())

    before = worlds()  # those that failures of other tests may hold
    for _ in range(3):
        simulate(register, NIGHT, NIGHT + timedelta(hours=1), nodes=2)
    assert worlds() <= before


def test_the_hooks_of_the_loop_around_it_are_as_before() -> None:
    """A kernel's loop must hear of its asynchronous generators, also after a simulation."""

    async def around() -> None:
        before = sys.get_asyncgen_hooks()
        simulate(lambda _scheduler: None, NIGHT, NIGHT + timedelta(hours=1))
        assert sys.get_asyncgen_hooks() == before
        assert before.firstiter is not None

    asyncio.run(around())
