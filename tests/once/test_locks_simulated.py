"""What each kind of lock does to two and three replicas, in virtual time on one Redis server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kst_scheduler.once.locks import redis_lock
from kst_scheduler.runs.table import duplicates
from kst_scheduler.simulation import Crash, Freeze, Node, current_node, simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    import pandas as pd

    from kst_scheduler.simulation.incidents import Incident

    Lock = Callable[[SimulatedRedis], AbstractAsyncContextManager[object]]

MIDNIGHT, THREE = kst(2026, 5, 10), kst(2026, 5, 10, 3)
NAME = "lock:nps"


def redis_py(**options: Any) -> Lock:
    """Return redis-py's own Lock with these options."""
    return lambda server: server.client().lock(NAME, **options)


def ours(ttl: float = 30, wait: float = 0) -> Lock:
    """Return redis_lock."""
    return lambda server: redis_lock(NAME, ttl, wait=wait, client=server.client())


class Nights:
    """Nights of a job at 03:00 under a lock, which works for some seconds on every replica."""

    def __init__(self, lock: Lock, seconds: float, trigger: dict[str, Any] | None = None) -> None:
        self.server = SimulatedRedis()
        self.worked: list[tuple[float, str]] = []
        """When which node did a piece of work: one at the start, and one a second."""
        self._lock = lock
        self._seconds = seconds
        self._trigger = trigger or {"hour": 3}

    async def work(self) -> None:
        """Work under the lock."""
        loop = asyncio.get_running_loop()
        async with self._lock(self.server):
            end = loop.time() + self._seconds
            while (left := end - loop.time()) > 0:
                self.worked.append((loop.time() - 3 * 3600, current_node()))
                await asyncio.sleep(min(left, 1))

    def register(self, scheduler: AsyncIOScheduler) -> None:
        """Register the job; runs that are up to two hours late still start."""
        options = {"id": "nps", "misfire_grace_time": 7200, "coalesce": True}
        scheduler.add_job(self.work, "cron", **self._trigger, **options)

    def reachable(self, value: bool, seconds: float) -> None:
        """Cut the server off, or bring it back, some seconds after 03:00."""
        asyncio.get_running_loop().call_later(
            3 * 3600 + seconds, setattr, self.server, "reachable", value
        )

    def run(
        self, nodes: Any = 2, incidents: Sequence[Incident] = (), *, days: float = 0.5
    ) -> pd.DataFrame:
        """Return what became of the runs."""
        end = MIDNIGHT + timedelta(days=days)

        def scheduler() -> AsyncIOScheduler:
            return AsyncIOScheduler(timezone=KST)

        return simulate(self.register, MIDNIGHT, end, nodes, incidents, scheduler).runs

    def overlap(self) -> bool:
        """Return whether one node worked between two pieces of another's work on one run."""
        nodes = [node for _, node in sorted(self.worked)]
        changes = sum(left != right for left, right in itertools.pairwise(nodes))
        return changes >= max(1, len(set(nodes)))


def statuses(runs: pd.DataFrame) -> list[str]:
    """Return the statuses in alphabetic order."""
    return sorted(runs["status"].astype(str))


def late(*offsets: float) -> list[Node]:
    """Return nodes whose clocks are some seconds behind, A's first."""
    return [Node("ABC"[i], clock_offset=-offset) for i, offset in enumerate(offsets)]


# First the forms that are wrong.


@pytest.mark.parametrize("nodes", [2, 3])
def test_no_lock(nodes: int) -> None:
    """Without a lock each replica runs it, all at the same time."""
    nights = Nights(lambda _server: asyncio.Lock(), 60)
    assert statuses(nights.run(nodes)) == ["ok"] * nodes
    assert nights.overlap()


@pytest.mark.parametrize("nodes", [2, 3])
def test_blocking_lock_runs_it_once_a_replica(nodes: int) -> None:
    """A lock that waits for its turn keeps runs apart, and every replica has its turn."""
    nights = Nights(redis_py(timeout=3600), 60)
    runs = nights.run(nodes)
    assert statuses(runs) == ["ok"] * nodes
    assert len(duplicates(runs)) == 1
    assert not nights.overlap()


def test_blocking_lock_without_a_timeout_is_held_for_ever_after_a_crash() -> None:
    """redis-py's default: A dies while it holds the lock, and B hangs, then and the next time."""
    nights = Nights(redis_py(), 60, {"hour": 3, "minute": "0,2"})
    runs = nights.run(2, [Crash("A", kst(2026, 5, 10, 3, 0, 30))], days=0.127)  # until 03:02:52
    assert list(runs.loc[runs["node"] == "B", "status"]) == ["running", "skipped"]


def test_lock_shorter_than_the_job_lets_two_run() -> None:
    """30 s for a job of 60 s: 40 s later B gets the lock, and A learns it at its release."""
    nights = Nights(redis_py(timeout=30, blocking=False), 60)
    runs = nights.run(late(0, 40))
    assert statuses(runs) == ["error", "error"]  # both have done all their work
    assert runs["detail"].str.contains("LockNotOwnedError").all()
    assert len(nights.worked) == 120
    assert nights.overlap()


def test_redis_pys_busy_lock_is_an_error_and_not_locked_out() -> None:
    """``async with`` on redis-py's Lock that is busy is an error like any other."""
    runs = Nights(redis_py(timeout=3600, blocking=False), 60).run()
    assert statuses(runs) == ["error", "ok"]
    assert "LockError" in runs.loc[runs["status"] == "error", "detail"].item()


def test_non_blocking_lock_and_a_skew_longer_than_the_job() -> None:
    """A job of 50 ms, B's clock 300 ms late: the lock is free again."""
    runs = Nights(redis_py(timeout=3600, blocking=False), 0.05).run(late(0, 0.3))
    assert statuses(runs) == ["ok", "ok"]


# Then redis_lock.


@pytest.mark.parametrize("nodes", [2, 3])
def test_one_runs_and_the_others_are_locked_out(nodes: int) -> None:
    """Of two or three replicas one runs; the table says why the others did not."""
    runs = Nights(ours(), 60).run(nodes)
    assert statuses(runs) == ["locked_out"] * (nodes - 1) + ["ok"]
    refused = runs.loc[runs["status"] == "locked_out", "detail"]
    assert set(refused) == {"lock 'lock:nps' is held by another run"}


def test_short_time_to_live_holds_for_a_job_of_an_hour() -> None:
    """30 s, renewed for an hour: replicas that come 40 s and 50 min late are locked out."""
    nights = Nights(ours(ttl=30), 3600)
    assert statuses(nights.run(late(0, 40, 3000))) == ["locked_out", "locked_out", "ok"]
    assert {node for _, node in nights.worked} == {"A"}


def test_lock_alone_is_not_once_for_each_occurrence() -> None:
    """Where the skew is longer than the job it runs twice, one after the other, with any lock."""
    runs = Nights(ours(), 0.05).run(late(0, 0.3))
    assert statuses(runs) == ["ok", "ok"]
    assert len(duplicates(runs)) == 1


def test_waiting_on_purpose_is_once_a_replica() -> None:
    """Whoever asks to wait gets what a blocking lock does, within a time limit."""
    assert statuses(Nights(ours(wait=100), 60).run()) == ["ok", "ok"]
    assert statuses(Nights(ours(wait=50), 60).run()) == ["locked_out", "ok"]


def test_waiting_ends_on_time() -> None:
    """The last try is made when the time is over, and not at the next tenth of a second."""
    runs = Nights(ours(wait=0.25), 60).run()
    assert runs["finished_at"].min() == THREE + timedelta(seconds=0.25)


def test_waiting_longer_than_the_lease_is_no_part_of_it() -> None:
    """A lease counts from before the request that was granted, not from the first one."""
    nights = Nights(ours(ttl=5, wait=100), 60)
    assert statuses(nights.run()) == ["ok", "ok"]
    assert not nights.overlap()


def test_crashed_holder_locks_for_no_longer_than_the_time_to_live() -> None:
    """A dies at 03:00:30; B, a minute late, finds the lock free 30 s later."""
    nights = Nights(ours(ttl=30), 3600)
    runs = nights.run(late(0, 60), [Crash("A", kst(2026, 5, 10, 3, 0, 30))])
    assert dict(zip(runs["node"], runs["status"], strict=True)) == {"A": "cancelled", "B": "ok"}


def test_crashed_holder_locks_for_the_rest_of_its_time_to_live() -> None:
    """A dies at 03:00:30; B, 35 s late, is locked out: the lock still has some seconds to go."""
    runs = Nights(ours(ttl=30), 3600).run(late(0, 35), [Crash("A", kst(2026, 5, 10, 3, 0, 30))])
    assert statuses(runs) == ["cancelled", "locked_out"]


def test_frozen_holder_does_no_work_after_it_thaws() -> None:
    """A freezes for ten minutes, B takes the lock: A thaws, is stopped, and leaves B its lock."""
    nights = Nights(ours(ttl=30), 900)
    freeze = Freeze("A", kst(2026, 5, 10, 3, 0, 30), timedelta(minutes=10))
    runs = nights.run(late(0, 120), [freeze])
    assert dict(zip(runs["node"], runs["status"], strict=True)) == {"A": "cancelled", "B": "ok"}
    assert "not renewed for 30 s" in runs.loc[runs["node"] == "A", "detail"].item()
    assert max(moment for moment, node in nights.worked if node == "A") < 30
    assert sum(node == "B" for _, node in nights.worked) == 900
    assert not nights.overlap()


def test_freeze_that_is_shorter_than_the_lease_does_no_harm() -> None:
    """A freezes for 15 s: it goes on, and a third replica that asks meanwhile is locked out."""
    nights = Nights(ours(ttl=30), 900)
    freeze = Freeze("A", kst(2026, 5, 10, 3, 0, 31), timedelta(seconds=15))
    assert statuses(nights.run(late(0, 40), [freeze])) == ["locked_out", "ok"]


def test_job_that_blocks_its_event_loop_for_longer_than_the_lease() -> None:
    """No renewal, and no stop, comes through to it: it runs beside B, and is told in the end."""
    nights = Nights(ours(ttl=30), 1)
    free_work = nights.work

    async def work() -> None:
        if current_node() == "B":
            await free_work()
            return
        async with ours(ttl=30)(nights.server):
            time.sleep(120)  # noqa: ASYNC251 - the fault itself

    nights.work = work  # type: ignore[method-assign]
    runs = nights.run(late(0, 60))
    assert dict(zip(runs["node"], runs["status"], strict=True)) == {"A": "cancelled", "B": "ok"}
    assert "was the event loop blocked for longer" in runs["detail"].iloc[0]


def persistent(command: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return a command that is tried four times in three seconds, as redis-py's real client does.

    fakeredis fails at once.
    """

    async def persist(*args: Any, **kwargs: Any) -> Any:
        for _ in range(3):
            with contextlib.suppress(RedisConnectionError):
                return await command(*args, **kwargs)
            await asyncio.sleep(1)
        return await command(*args, **kwargs)

    return persist


def outage(begin: float, end: float, seconds: float) -> tuple[Nights, pd.DataFrame]:
    """Run one replica for some seconds, with the server cut off from ``begin`` to ``end``."""

    def lock(server: SimulatedRedis) -> AbstractAsyncContextManager[None]:
        client = server.client()
        client.set = persistent(client.set)  # type: ignore[method-assign]
        client.evalsha = persistent(client.evalsha)  # type: ignore[method-assign]
        return redis_lock(NAME, 30, client=client)

    nights = Nights(lock, seconds)
    registered = nights.register

    def register(scheduler: AsyncIOScheduler) -> None:
        registered(scheduler)
        nights.reachable(False, begin)
        nights.reachable(True, end)

    nights.register = register  # type: ignore[method-assign]
    return nights, nights.run(1)


def test_outage_shorter_than_the_lease() -> None:
    """Redis is away from 03:00:15 to 03:00:35: the job never notices."""
    nights, runs = outage(15, 35, 120)
    assert statuses(runs) == ["ok"]
    assert len(nights.worked) == 120


def test_outage_longer_than_the_lease() -> None:
    """Redis is away from 03:00:15: last renewed at 03:00:10, the job is stopped at 03:00:40."""
    nights, runs = outage(15, 600, 120)
    assert statuses(runs) == ["cancelled"]
    assert "the last renewal failed: " in runs["detail"].item()
    assert max(moment for moment, _ in nights.worked) < 40


def test_outage_at_the_end_keeps_the_result(our_log: pytest.LogCaptureFixture) -> None:
    """Redis is away when the job ends: it is ok, three seconds later, and the log has a line."""
    with our_log.at_level(logging.WARNING, "kst_scheduler"):
        _, runs = outage(8, 600, 9)
    assert statuses(runs) == ["ok"]
    assert runs["finished_at"].item() == THREE + timedelta(seconds=12)
    (line,) = our_log.messages
    assert line == (
        "lock 'lock:nps' could not be released, and expires within 30 s: no answer in time"
    )


def test_outage_at_the_start_runs_nothing(our_log: pytest.LogCaptureFixture) -> None:
    """Redis is away at 03:00: nothing runs without the lock, and redis-py's own error says why."""
    with our_log.at_level(logging.WARNING, "kst_scheduler"):
        nights, runs = outage(-5, 600, 9)
    assert our_log.messages == []  # nothing of a lock that nobody had
    assert statuses(runs) == ["error"]
    assert "ConnectionError" in runs["detail"].item()
    assert nights.worked == []


def deaf(ttl: float, seconds: float) -> Lock:
    """Return redis_lock on a server that grants the lock, and is silent for some seconds."""

    def lock(server: SimulatedRedis) -> AbstractAsyncContextManager[None]:
        client = server.client()
        really_set = client.set

        async def set_slowly(*args: Any, **kwargs: Any) -> Any:
            answer = await really_set(*args, **kwargs)
            await asyncio.sleep(seconds)
            return answer

        client.set = set_slowly  # type: ignore[method-assign]
        return redis_lock(NAME, ttl, client=client)

    return lock


@pytest.mark.parametrize(("ttl", "limit"), [(3600, 10), (4, 4)])
def test_request_without_an_answer_is_given_up(ttl: float, limit: float) -> None:
    """A server that takes the request and is silent: the job fails, and leaves no lock behind."""
    nights = Nights(deaf(ttl, 7200), 60)
    seen: list[object] = []
    free_work = nights.work

    async def work() -> None:
        try:
            await free_work()
        except RedisTimeoutError as error:
            seen.append(str(error))
        seen.append(await nights.server.client().exists(NAME))

    nights.work = work  # type: ignore[method-assign]
    runs = nights.run(1)
    assert seen == [f"no answer about lock 'lock:nps' within {limit} s", 0]
    assert runs["finished_at"].item() == THREE + timedelta(seconds=limit)


def test_lease_counts_from_before_the_request() -> None:
    """An answer that took 8 s is 8 s of the lease: without renewals it is over after 30 s."""
    nights = Nights(deaf(30, 8), 60)
    registered = nights.register

    def register(scheduler: AsyncIOScheduler) -> None:
        registered(scheduler)
        nights.reachable(False, 9)

    nights.register = register  # type: ignore[method-assign]
    runs = nights.run(1)
    assert statuses(runs) == ["cancelled"]
    assert max(moment for moment, _ in nights.worked) == 29


def test_crash_while_asking_leaves_nothing_behind() -> None:
    """A process that dies before its answer came is torn down without a warning."""
    runs = Nights(deaf(30, 7200), 60).run(1, [Crash("A", THREE + timedelta(seconds=5))])
    gc.collect()
    assert statuses(runs) == ["cancelled"]


@settings(max_examples=60)
@given(
    offset=st.floats(-90, 90),
    third=st.floats(-90, 90),
    ttl=st.integers(2, 40),
    job=st.integers(1, 90),
    begin=st.floats(0, 60),
    frozen=st.floats(0.5, 120),
    away=st.tuples(st.floats(0, 60), st.floats(0, 60)),
)
def test_never_two_at_work(
    offset: float,
    third: float,
    ttl: int,
    job: int,
    begin: float,
    frozen: float,
    away: tuple[float, float],
) -> None:
    """Whatever the skew, the freeze and the outage: no piece of work lies within another's run."""
    nights = Nights(ours(ttl), job)
    registered = nights.register

    def register(scheduler: AsyncIOScheduler) -> None:
        registered(scheduler)
        if current_node() == "A":
            nights.reachable(False, away[0])
            nights.reachable(True, sum(away))

    nights.register = register  # type: ignore[method-assign]
    freeze = Freeze("A", THREE + timedelta(seconds=begin), timedelta(seconds=frozen))
    nights.run(late(0, offset, third), [freeze], days=0.2)
    assert not nights.overlap()
