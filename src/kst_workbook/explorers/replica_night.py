"""A night of replicas that run one job under one lock: what each did, and who held the lock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.simulation import Node, current_node, simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.simulation.work import WorkLog
from kst_scheduler.timezone import kst
from kst_workbook.explorers.freezing import freezes, work_in_pieces
from kst_workbook.explorers.lock_log import LockLog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from redis.asyncio import Redis

    from kst_scheduler.simulation import SimulationResult
    from kst_workbook.explorers.lock_log import Holding

    Work = Callable[[], Awaitable[None]]
    Lock = Callable[[], AbstractAsyncContextManager[Any]]

NO_LOCK: Final = "no lock"
WAITS: Final = "a lock that waits"
REFUSES: Final = "a lock that refuses"
REDIS_LOCK: Final = "redis_lock"
ONCE: Final = "redis_lock + ledger"
LOCKS: Final = (NO_LOCK, WAITS, REFUSES, REDIS_LOCK, ONCE)

START: Final = kst(2026, 5, 10, 2, 58)
END: Final = kst(2026, 5, 10, 3, 30)
FREEZE_AT: Final = kst(2026, 5, 10, 3, 2)
JOB_ID: Final = "crawl"
LOCK: Final = f"lock:{JOB_ID}"
PIECE: Final = 15
"""Seconds from one piece of work to the next."""
POLL: Final = 20
"""Seconds between two attempts of a lock that waits; redis-py's 0.1 takes longer to simulate."""


@dataclass(frozen=True)
class Night:
    """Some replicas and their lock; ``skew``, ``lease`` and ``job`` in seconds, freeze in minutes.

    The clock of each further replica is ``skew`` later than that of the one before.
    """

    replicas: int = 3
    skew: int = 0
    lock: str = WAITS
    lease: int = 120
    job: int = 90
    freeze: int = 0

    @property
    def offsets(self) -> dict[str, int]:
        """By how many seconds the clock of each replica is off."""
        return {name: -self.skew * place for place, name in enumerate("ABCD"[: self.replicas])}


@dataclass(frozen=True)
class PlayedNight:
    """What the replicas did; a run starts with its first piece of work."""

    result: SimulationResult
    runs_of_each: list[int]
    """How many replicas worked for each occurrence, in the order of time."""
    at_once: int
    """How many worked at once, at most."""
    holdings: list[Holding]
    """Who held the lock, and until when."""


def replay(night: Night) -> PlayedNight:
    """Simulate the night with the real locks, on one simulated Redis and one ledger."""
    server, ledger, written, log = SimulatedRedis(), MemoryLedger(), WorkLog(), LockLog(LOCK)

    async def work() -> None:
        await work_in_pieces(night.job // PIECE, PIECE, written.note)

    def lock() -> AbstractAsyncContextManager[Any]:
        return _lock(night, log.watch(server.client()))

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(_locked(work, night, lock, ledger), "cron", minute="0,15", id=JOB_ID)

    nodes = [Node(name, offset) for name, offset in night.offsets.items()]
    frozen = freezes("A", FREEZE_AT, night.freeze)
    result = written.with_work_starts(simulate(register, START, END, nodes, frozen))
    workers = written.table().groupby("scheduled_at")["node"].nunique()
    return PlayedNight(
        result,
        [int(number) for number in workers],
        written.most_at_once(),
        log.holdings(),
    )


def _locked(work: Work, night: Night, lock: Lock, ledger: MemoryLedger) -> Work:
    """Return the job as each node registers it."""
    if night.lock == NO_LOCK:
        return work
    if night.lock == ONCE:
        lease = timedelta(seconds=night.lease)
        return once(ledger, lock, lease=lease, instance=current_node())(work)

    async def locked() -> None:
        async with lock():
            await work()

    return locked


def _lock(night: Night, client: Redis) -> AbstractAsyncContextManager[Any]:
    if night.lock == WAITS:
        return client.lock(LOCK, timeout=night.lease, sleep=POLL)
    if night.lock == REFUSES:
        return client.lock(LOCK, timeout=night.lease, blocking=False)
    return redis_lock(LOCK, night.lease, client=client)
