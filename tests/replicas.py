"""Simulated replicas whose jobs run once on one ledger, and what became of their runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.ledger.memory import MemoryRows
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.simulation import current_node, simulate
from kst_scheduler.timezone import UTC, in_milliseconds, kst
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    import pandas as pd
    from apscheduler.triggers.base import BaseTrigger

    from kst_scheduler.ledger import Claim, ClaimRequest, LedgerRow, Outcome
    from kst_scheduler.once.reconcile.reconciler import OnMissing
    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
    from kst_scheduler.simulation import Incident, Node, SimulationResult

T = TypeVar("T")

NIGHT = kst(2026, 5, 10)
"""When every simulated night begins."""

MORNING = kst(2026, 5, 10, 6)
"""When it ends, unless told otherwise."""


def night(hour: float, minute: float = 0, second: float = 0) -> datetime:
    """Return a moment of the night; hour 27 is 03:00 on the next one."""
    return NIGHT + timedelta(hours=hour, minutes=minute, seconds=second)


def shown_now() -> datetime:
    """Return the time by the node's clock, as tables show it."""
    return in_milliseconds(datetime.now(UTC))


class SwitchedLedger(MemoryLedger):
    """A ledger in memory that is away now and then.

    ``away`` tells for the name of a method, and the seconds since the simulation began, whether
    it cannot be reached; ``deaf`` tells whether it does as it was asked, and its answer is lost.
    """

    def __init__(
        self,
        away: Callable[[str, float], bool] = lambda _name, _now: False,
        deaf: Callable[[str, float], bool] = lambda _name, _now: False,
    ) -> None:
        super().__init__()
        self.away = away
        self.deaf = deaf
        self.asked: list[tuple[str, float]] = []

    async def claim(self, request: ClaimRequest) -> Claim:
        """Claim, if it can be reached."""
        return await self._ask("claim", super().claim(request))

    async def renew(self, claim: Claim) -> bool:
        """Renew, if it can be reached."""
        return await self._ask("renew", super().renew(claim))

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Finish, if it can be reached."""
        return await self._ask("finish", super().finish(claim, outcome))

    async def abandoned(self) -> list[LedgerRow]:
        """Begin a look, if it can be reached."""
        return await self._ask("look", super().abandoned())

    async def _ask(self, name: str, answer: Coroutine[Any, Any, T]) -> T:
        now = asyncio.get_running_loop().time()
        self.asked.append((name, now))
        if self.away(name, now):
            answer.close()
            raise LedgerUnavailableError("postgresql://app:secret@db/crawl does not answer")
        result = await answer
        if self.deaf(name, now):
            raise LedgerUnavailableError("the answer was lost")
        return result


class HostClockLedger(MemoryLedger):
    """A ledger on the clock of the host, as SQLite and the embedded PostgreSQL are."""

    def __init__(self) -> None:
        super().__init__()
        self._rows = _HostClockRows()


class _HostClockRows(MemoryRows):
    def now(self) -> datetime:
        """Return what the wall clock of the calling node shows."""
        return datetime.now(UTC)


def in_shown_times(row: LedgerRow) -> LedgerRow:
    """Return a row with its times in whole milliseconds; a manual run is known by its own."""
    times: dict[str, Any] = {
        each.name: in_milliseconds(value)
        for each in fields(row)
        if isinstance(value := getattr(row, each.name), datetime) and each.name != "scheduled_at"
    }
    return replace(row, **times)


@dataclass(frozen=True)
class Night:
    """The outcome of a simulated night."""

    result: SimulationResult
    ledger: MemoryLedger

    @property
    def runs(self) -> pd.DataFrame:
        """The table of runs, as the schedulers saw it."""
        return self.result.runs

    def rows(self) -> list[LedgerRow]:
        """Return the ledger's rows, in the order of their scheduled time, as tables show them."""
        rows = map(in_shown_times, asyncio.run(self.ledger.rows()))
        return sorted(rows, key=lambda row: (row.scheduled_at, row.id))

    def row(self) -> LedgerRow:
        """Return the ledger's only row."""
        (row,) = self.rows()
        return row

    def statuses(self) -> list[str]:
        """Return the status of each row."""
        return [row.status for row in self.rows()]

    def seen(self, *statuses: str) -> list[Any]:
        """Return the runs that ended so, as the schedulers saw it, in the order of their start."""
        chosen = self.runs[self.runs["status"].isin(statuses)].sort_values("started_at")
        return list(chosen.itertuples())


def crawl_for(seconds: float) -> Callable[[], Awaitable[int]]:
    """Return a job that takes so long, and finds seven rows."""

    async def crawl() -> int:
        await asyncio.sleep(seconds)
        return 7

    return crawl


def play(
    job: Callable[..., Awaitable[object]],
    trigger: BaseTrigger | None = None,
    *,
    until: datetime = MORNING,
    nodes: int | Sequence[Node] = 3,
    incidents: Sequence[Incident] = (),
    ledger: MemoryLedger | None = None,
    reconcile: bool = True,
    grace: int = 300,
    start: datetime = NIGHT,
    then: Callable[[KSTScheduler], object] | None = None,
    on_missing: OnMissing | None = None,
    **options: Any,
) -> Night:
    """Run a job once for each occurrence on simulated replicas, at 03:00 unless told otherwise.

    ``options`` are those of ``once``. ``then`` is called with each started process's scheduler.
    """
    shared = MemoryLedger() if ledger is None else ledger

    def register(scheduler: KSTScheduler) -> None:
        run = once(shared, instance=current_node(), **options)(job)
        scheduler.add_job(run, trigger or cron(hour=3), id="nps", misfire_grace_time=grace)
        if reconcile:
            Reconciler(scheduler, shared, on_missing=on_missing).start()
        if then:
            then(scheduler)

    return Night(simulate(register, start, until, nodes, incidents), shared)
