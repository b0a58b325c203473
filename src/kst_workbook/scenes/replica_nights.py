"""Nights of a crawl on replicas that share a Redis and a ledger, new ones for each night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.simulation import SimulationResult, simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.simulation.work import WorkLog
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from redis.asyncio import Redis

    from kst_scheduler.simulation import Incident, Node

JOB: Final = "daily-nps-crawl"
START: Final = kst(2026, 5, 10, 2, 30)
MORNING: Final = kst(2026, 5, 10, 6)


class ReplicaNights:
    """Replays a night with one job after another.

    Attributes:
        written: where the job notes each page that it writes; emptied before each night.
        ledger: that of the last night.

    """

    def __init__(self) -> None:
        self.written = WorkLog()
        self._begin()

    def client(self) -> Redis:
        """Return a client of the night's Redis; a job calls this."""
        return self._server.client()

    def replay(
        self,
        make_job: Callable[[], Callable[..., Any]],
        until: datetime = MORNING,
        *,
        hour: int | str = 3,
        crawl: Sequence[Any] = (),
        nodes: int | Sequence[Node] = 2,
        incidents: Sequence[Incident] = (),
    ) -> SimulationResult:
        """Simulate from 10 May 2026, 02:30 on; in the runs, ``started_at`` is the first page.

        Args:
            make_job: makes the job, on each replica.
            until: the end.
            hour: at which hours the job is due.
            crawl: the job's arguments.
            nodes: the replicas.
            incidents: what happens to them.

        """
        self._begin()

        def register(scheduler: Any) -> None:
            scheduler.add_job(make_job(), "cron", hour=hour, args=crawl, id=JOB)

        result = simulate(register, START, until, nodes, incidents)
        return self.written.with_work_starts(result)

    def _begin(self) -> None:
        self._server, self.ledger = SimulatedRedis(), MemoryLedger()
        self.written.clear()
