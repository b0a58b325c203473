from __future__ import annotations

import asyncio
import gc
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from lessons import MORNING, NIGHT, plain_scheduler
from redis.exceptions import ConnectionError as RedisConnectionError

from kst_scheduler.errors import InvalidArgumentError, LockedOutError, NaiveDatetimeError
from kst_scheduler.runs.table import duplicates
from kst_scheduler.simulation import Crash, Node, current_node, simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.timezone import kst


def locked_job(server: SimulatedRedis, seconds: float, **lock: Any) -> Any:
    """Return a register function: one job at 03:00 that works while it holds redis-py's Lock."""

    async def work() -> None:
        held = server.client().lock("lock:nps", **lock)
        if not await held.acquire():
            raise LockedOutError("another node holds lock:nps")
        await asyncio.sleep(seconds)
        await held.release()

    def register(scheduler: Any) -> None:
        scheduler.add_job(work, "cron", hour=3, minute=0, id="nps", misfire_grace_time=7200)

    return register


def test_non_blocking_lock_lets_one_node_run() -> None:
    """redis-py's own Lock, not waiting, keeps the second replica out."""
    register = locked_job(SimulatedRedis(), 60, timeout=3600, blocking=False)
    runs = simulate(register, NIGHT, MORNING, nodes=2, scheduler=plain_scheduler).runs
    assert sorted(runs["status"].astype(str)) == ["locked_out", "ok"]


def test_blocking_lock_runs_it_twice() -> None:
    """A lock that waits lets the second replica run the same occurrence after the first."""
    register = locked_job(SimulatedRedis(), 60, timeout=3600)
    runs = simulate(register, NIGHT, MORNING, nodes=2, scheduler=plain_scheduler).runs
    assert list(runs["status"]) == ["ok", "ok"]
    assert runs["finished_at"].max() >= kst(2026, 5, 10, 3, 2)
    assert list(duplicates(runs)["nodes"]) == ["A, B"]


def test_lease_shorter_than_the_job_is_noticed_too_late() -> None:
    """A 30 s lease runs out under a 60 s job: redis-py says so at the release, at 03:01:00."""
    register = locked_job(SimulatedRedis(), 60, timeout=30, blocking=False)
    runs = simulate(register, NIGHT, MORNING, scheduler=plain_scheduler).runs
    assert "LockNotOwnedError" in runs["detail"].item()
    assert runs["finished_at"].item() == kst(2026, 5, 10, 3, 1)


@pytest.mark.parametrize("offset", [-1800, 1800])
def test_expiry_is_by_the_servers_clock(offset: int) -> None:
    """A node whose clock is half an hour off neither frees a lease early nor makes it longer."""
    server = SimulatedRedis()
    left = []

    def register(scheduler: Any) -> None:
        async def set_and_look() -> None:
            if current_node() == "A":
                await server.client().set("key", "A", px=3_600_000)
                await asyncio.sleep(3_000)
            left.append((current_node(), await server.client().pttl("key")))

        at_one = kst(2026, 5, 10, 1)
        # B looks at 01:40 true time, whatever its own clock shows then.
        at_forty = at_one + timedelta(minutes=40, seconds=offset)
        run_date = at_one if current_node() == "A" else at_forty
        scheduler.add_job(set_and_look, "date", run_date=run_date)

    nodes = [Node("A"), Node("B", clock_offset=offset)]
    simulate(register, NIGHT, MORNING, nodes=nodes, scheduler=plain_scheduler)
    assert left == [("B", 1_200_000), ("A", 600_000)]


def test_unreachable_server() -> None:
    """A server that is cut off gives redis-py's own error, after its retries in virtual time."""
    server = SimulatedRedis()
    server.reachable = False
    assert not server.reachable
    register = locked_job(server, 60, timeout=30, blocking=False)
    runs = simulate(register, NIGHT, MORNING, scheduler=plain_scheduler).runs
    assert RedisConnectionError.__name__ in runs["detail"].item()


def test_lock_that_is_still_held_at_the_end(recwarn: pytest.WarningsRecorder) -> None:
    """Neither a crashed holder nor one that works to the end leaves a coroutine to warn about.

    Leaving its ``async with`` needs a loop, and there is none any more.
    """
    server = SimulatedRedis()

    def register(scheduler: Any) -> None:
        async def work() -> None:
            async with server.client().lock("lock:nps", timeout=60, sleep=1):
                await asyncio.sleep(86_400)

        scheduler.add_job(work, "cron", hour=3, id="nps")

    crash = Crash("A", kst(2026, 5, 10, 3, 0, 30))
    simulate(register, NIGHT, kst(2026, 5, 10, 3, 10), nodes=2, incidents=[crash])
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def test_an_outage_begins_and_ends_by_itself() -> None:
    """Commands of a client that was connected before fail in between, whatever clock a node has."""
    server = SimulatedRedis(away=[(kst(2026, 5, 10, 3, 1), kst(2026, 5, 10, 3, 3))])
    answers: list[str] = []

    async def ask() -> None:
        client = server.client(retry=None)
        for _ in range(5):
            try:
                await client.incr("asked")
                answers.append("answered")
            except RedisConnectionError:
                answers.append("away")
            await asyncio.sleep(60)

    def register(scheduler: Any) -> None:
        scheduler.add_job(ask, "cron", hour=3, minute=0, id="ask")

    simulate(register, NIGHT, MORNING, scheduler=plain_scheduler)
    assert answers == ["answered", "away", "away", "answered", "answered"]
    answers.clear()
    behind = [Node("A", clock_offset=-600)]
    simulate(register, NIGHT, MORNING, nodes=behind, scheduler=plain_scheduler)
    assert answers == ["answered"] * 5, "by its own clock, it would have been away"


def test_an_outage_that_cannot_be_is_refused() -> None:
    """It ends after it begins, and both have a zone."""
    with pytest.raises(InvalidArgumentError, match=r"does not come after .*; swap them"):
        SimulatedRedis(away=[(kst(2026, 5, 10, 4), kst(2026, 5, 10, 3))])
    with pytest.raises(NaiveDatetimeError, match="away"):
        SimulatedRedis(away=[(datetime(2026, 5, 10, 3), kst(2026, 5, 10, 4))])  # noqa: DTZ001


def test_the_servers_lock_can_be_the_lock_of_a_condition() -> None:
    """A Condition of Python 3.14 needs ``locked`` of its lock; fakeredis makes such conditions."""
    lock = SimulatedRedis()._server.lock
    assert not lock.locked()
    condition = threading.Condition(lock)
    with condition:
        assert lock.locked()
    assert not lock.locked()
