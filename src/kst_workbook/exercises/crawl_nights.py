"""Nights of the crawl for exercises about several replicas: what happens in them, and who wrote."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kst_scheduler.simulation import Node, SimulationResult, simulate
from kst_scheduler.simulation.work import WorkLog
from kst_scheduler.timezone import KST, kst
from kst_workbook.exercises.exercise import NotYetError
from kst_workbook.exercises.judging import moment, require_moment, shown, values_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    import pandas as pd

    from kst_scheduler.simulation import Incident

Result = TypeVar("Result")

START: Final = kst(2026, 5, 10, 2, 30)
END: Final = kst(2026, 5, 10, 5, 15)


class CrawlError(Exception):
    """Raised by a crawl that is meant to fail."""


@dataclass(frozen=True)
class Night:
    """What a crawl that writes a page a minute goes through."""

    title: str
    pages: int = 20
    nodes: int | tuple[Node, ...] = 2
    incidents: tuple[Incident, ...] = ()
    end: datetime = END
    fails: bool = False
    """Whether the crawls due at 03:00 raise an error after their last page."""

    def play(self, add_jobs: Callable[[Any, Callable[[], Awaitable[int]]], object]) -> Played:
        """Simulate the night; ``add_jobs`` gets the scheduler and the crawl."""
        work = WorkLog()

        async def crawl_nps() -> int:
            for page in range(self.pages):
                work.note(page)
                await asyncio.sleep(60)
            if self.fails and datetime.now(KST).hour == START.hour + 1:
                raise CrawlError("data.go.kr is down")
            return self.pages

        result = simulate(
            lambda scheduler: add_jobs(scheduler, crawl_nps),
            START,
            self.end,
            nodes=list(self.nodes) if isinstance(self.nodes, tuple) else self.nodes,
            incidents=self.incidents,
        )
        return Played(work.with_work_starts(result), work)


@dataclass(frozen=True)
class Played:
    """A night that is over."""

    result: SimulationResult
    work: WorkLog
    crawls: list[Crawl] = field(init=False)
    """The runs that wrote, in the order of their first pages."""

    @property
    def crawl_runs(self) -> pd.DataFrame:
        """Return the runs of the jobs that crawled; of all jobs, where none did."""
        runs = self.result.runs
        crawled = runs["job_id"].isin(self.work.table()["job_id"])
        return runs[crawled] if crawled.any() else runs

    def __post_init__(self) -> None:
        runs = self.work.table().groupby(["node", "scheduled_at"], sort=False)["at"]
        spans = runs.agg(["min", "max"]).reset_index().sort_values("min", kind="stable")
        crawls = [Crawl(*row) for row in spans.itertuples(index=False, name=None)]
        object.__setattr__(self, "crawls", crawls)


@dataclass(frozen=True)
class Crawl:
    """One run that wrote pages."""

    node: str
    due: pd.Timestamp
    begin: pd.Timestamp
    last_page: pd.Timestamp

    def __str__(self) -> str:
        return f"{self.node} crawls from {self.begin:%H:%M}"


def require_moments(answer: Any, place: str) -> list[pd.Timestamp]:
    """Return the answer on Korean time and in order, if it is a list of moments.

    Raises:
        NotYetError: it is something else; ``place`` says where it stands, as in "`began`".

    """
    values = values_of(answer)
    if values is None:
        raise NotYetError(f"{place} is {shown(answer)}. Expected a list of moments.")
    return sorted(require_moment(each, place) for each in values)


def listed(moments: list[Any]) -> str:
    """Return times as messages say them, or "never"."""
    return ", ".join(map(moment, moments)) or "never"


def at_once(call: Coroutine[Any, Any, Result]) -> Result:
    """Return what an async function returns that never waits, as those of a MemoryLedger do."""
    try:
        call.send(None)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    raise RuntimeError("it waits")
