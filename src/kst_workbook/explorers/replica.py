"""How often replicas run one occurrence, and how many work at once, under each kind of lock."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.simulation import Freeze, Node, current_node, simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.simulation.work import WorkLog
from kst_scheduler.timezone import kst
from kst_workbook.explorers.explorer import Explorer, Subject, labelled
from kst_workbook.explorers.pictures import timeline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from matplotlib.figure import Figure

    from kst_scheduler.simulation import SimulationResult

    Work = Callable[[], Awaitable[None]]

CAPTION: Final = (
    "Replica explorer: replicas run the same job at 03:00 and 03:15; choose their lock, their "
    "clocks and a freeze to see which occurrences run twice, and how many work at once."
)
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
_PIECE: Final = 15
"""Seconds from one piece of work to the next."""
_ASKS: Final = 20
"""Seconds after which a lock that waits asks again; redis-py's 0.1 takes longer to simulate."""


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


@dataclass(frozen=True)
class PlayedNight:
    """What the replicas did; a run starts with its first piece of work."""

    result: SimulationResult
    runs_of_each: list[int]
    """How many replicas worked for each occurrence, in the order of time."""
    at_once: int
    """How many worked at once, at most."""


def replica_explorer() -> Explorer:
    """Return an explorer of replicas: how many, their clocks, lock, lease, job length, a freeze.

    Raises:
        WorkbookError: ipywidgets is not installed.

    """
    first = Night()
    return Explorer(
        Subject(Night, replay, draw, say, CAPTION),
        {
            "replicas": labelled("IntSlider", "replicas", value=first.replicas, min=1, max=4),
            "skew": labelled(
                "IntSlider", "each clock later by (s)", value=first.skew, min=0, max=240, step=5
            ),
            "lock": labelled("Dropdown", "lock", options=LOCKS, value=first.lock),
            "lease": labelled(
                "IntSlider", "lease, time to live (s)", value=first.lease, min=60, max=900, step=30
            ),
            "job": labelled(
                "IntSlider", "a run takes (s)", value=first.job, min=15, max=480, step=15
            ),
            "freeze": labelled(
                "IntSlider", "A frozen from 03:02 (min)", value=first.freeze, min=0, max=20
            ),
        },
    )


def replay(night: Night) -> PlayedNight:
    """Simulate the night with the real locks, on one simulated Redis and one ledger."""
    server, ledger, written = SimulatedRedis(), MemoryLedger(), WorkLog()

    async def work() -> None:
        for second in range(0, night.job, _PIECE):
            written.note()
            await asyncio.sleep(min(_PIECE, night.job - second))
        written.note()

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(_locked(work, night, server, ledger), "cron", minute="0,15", id=JOB_ID)

    nodes = [Node(name, -night.skew * place) for place, name in enumerate("ABCD"[: night.replicas])]
    frozen = [Freeze("A", FREEZE_AT, timedelta(minutes=night.freeze))] if night.freeze else []
    result = written.with_work_starts(simulate(register, START, END, nodes, frozen))
    workers = written.table().groupby("scheduled_at")["node"].nunique()
    return PlayedNight(result, [int(number) for number in workers], written.most_at_once())


def draw(night: Night, played: PlayedNight) -> Figure:
    """Draw a lane for each replica."""
    return timeline(played.result, [f"{name}  {JOB_ID}" for name in "ABCD"[: night.replicas]])


def say(_night: Night, played: PlayedNight) -> str:
    """Return both counts: occurrences that ran more than once, and how many worked at once."""
    most = max(played.runs_of_each, default=0)
    repeated = sum(number > 1 for number in played.runs_of_each)
    times = f", up to {most} times" if repeated else ""
    return (
        f"Ran more than once: <b>{repeated} of {len(played.runs_of_each)} occurrences</b>{times}. "
        f"Replicas at work at once: <b>{played.at_once}</b> at most."
    )


def _locked(work: Work, night: Night, server: SimulatedRedis, ledger: MemoryLedger) -> Work:
    """Return the job as each node registers it."""
    if night.lock == NO_LOCK:
        return work
    if night.lock == ONCE:
        lease = timedelta(seconds=night.lease)
        return once(ledger, lambda: _lock(night, server), lease=lease, instance=current_node())(
            work
        )

    async def locked() -> None:
        async with _lock(night, server):
            await work()

    return locked


def _lock(night: Night, server: SimulatedRedis) -> AbstractAsyncContextManager[Any]:
    client, name = server.client(), f"lock:{JOB_ID}"
    if night.lock == WAITS:
        return client.lock(name, timeout=night.lease, sleep=_ASKS)
    if night.lock == REFUSES:
        return client.lock(name, timeout=night.lease, blocking=False)
    return redis_lock(name, night.lease, client=client)
