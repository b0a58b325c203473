"""Exercise of notebook 05: a service that may have a second replica."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers import SchedulerAlreadyRunningError

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once import once
from kst_scheduler.runs import NAT, RunLog
from kst_scheduler.scheduler import KSTScheduler
from kst_scheduler.simulation import current_node, simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers import cron
from kst_scheduler.workbook.exercises.crawl_nights import at_once
from kst_scheduler.workbook.exercises.deployment import require_app
from kst_scheduler.workbook.exercises.exercise import NotYetError, Picture, Right, exercise
from kst_scheduler.workbook.exercises.judging import moment, pictures, require_function
from kst_scheduler.workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import pandas as pd

DEPLOYMENT: Final = "https://fastapi.tiangolo.com/deployment/concepts/#one-time-only-tasks"
SPAN: Final = kst(2026, 5, 10, 2, 50), kst(2026, 5, 11, 3, 50)
DUE: Final = kst(2026, 5, 10, 3), kst(2026, 5, 11, 3)
STOPPED: Final = kst(2026, 5, 11, 3, 2)


@dataclass
class Crawl:
    """One crawl of 20 minutes."""

    node: str
    begin: datetime
    end: datetime | None = None
    """None while it runs, and when it was cut."""


class Replicas:
    """Replicas A and B of a service through two nights; whoever crawls on 11 May is stopped."""

    def __init__(self, make_service: Callable[..., Any]) -> None:
        self.crawls: list[Crawl] = []
        self._make_service = make_service
        self._ledger = MemoryLedger()
        self._errors: list[BaseException] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stop: dict[str, asyncio.Event] = {}
        simulate(self._boot, *SPAN, nodes=2)
        for error in self._errors:
            raise error

    def _boot(self, _scheduler_of_the_simulation: object) -> None:
        self._stop[current_node()] = asyncio.Event()
        self._tasks.append(asyncio.create_task(self._serve(current_node())))

    async def _serve(self, node: str) -> None:
        try:
            app = require_app(self._make_service(self._ledger, self._crawl))
            async with app.router.lifespan_context(app):
                await self._stop[node].wait()
        except Exception as error:  # noqa: BLE001 - raised again when the simulation is over
            self._errors.append(error)

    async def _crawl(self) -> int:
        crawl = Crawl(current_node(), datetime.now(KST))
        self.crawls.append(crawl)
        if crawl.begin.day == STOPPED.day:
            seconds = (STOPPED - crawl.begin).total_seconds()
            asyncio.get_running_loop().call_later(max(seconds, 0), self._stop[crawl.node].set)
        await asyncio.sleep(20 * 60)
        crawl.end = datetime.now(KST)
        return 250

    def rows(self) -> int:
        """Return how many rows the ledger has."""
        return len(at_once(self._ledger.rows()))

    def runs(self) -> pd.DataFrame:
        """Return the crawls as a table of runs."""
        log = RunLog()
        for crawl in self.crawls:
            begin, end = microseconds(crawl.begin), crawl.end
            status = "ok" if end else "cancelled"
            cut = microseconds(STOPPED) if crawl.begin.day == STOPPED.day else NAT
            until = microseconds(end) if end else cut
            log.add(crawl.node, "daily-nps-crawl", begin, status, begin, until)
        return log.table()


@exercise(
    "5.3",
    title="A service that may have a second replica",
    variable="make_service",
    hints=(
        "Each replica calls your function. What must it make anew, and what do the replicas share?",
        "Section 5.11: two schedulers, one ledger. `once` is the wrapper around the job.",
        "The wrapped job, on a scheduler made in the function, and a drain as long as the crawl.",
    ),
    solution="""
        def make_service(ledger, crawl):
            scheduler = KSTScheduler()
            scheduler.add_job(once(ledger)(crawl), cron(hour=3), id="daily-nps-crawl")

            @asynccontextmanager
            async def lifespan(app):
                scheduler.start()
                yield
                await scheduler.drain(20 * 60)

            return FastAPI(lifespan=lifespan)
    """,
    link=DEPLOYMENT,
)
def service_of_two_replicas(make_service: Any) -> Right:
    """Crawl once a night, whichever replica does it, and end what was begun."""
    require_function(make_service, "make_service", "ledger", "crawl")
    with each_replica_for_itself(make_service):
        mine = _played(make_service)
    for due in DUE:
        _require_one_crawl(mine, due)
    if mine.rows() < len(DUE):
        raise NotYetError(f"Two nights are over, and the ledger has {mine.rows()} rows of them.")
    why = (
        "Each night has one crawl. On 11 May its replica is stopped at 03:02: the crawl goes on to "
        "its end, and no other begins."
    )
    return Right(why, _shots(mine, DUE[1])[:1])


def _played(make_service: Callable[..., Any]) -> Replicas:
    try:
        return Replicas(make_service)
    except SchedulerAlreadyRunningError:
        raise NotYetError(
            "Your function is called for each replica, and both have the same scheduler: the "
            "second cannot start it. Section 5.9 says where to make it."
        ) from None


def _require_one_crawl(mine: Replicas, due: datetime) -> None:
    crawls = [crawl for crawl in mine.crawls if crawl.begin.date() == due.date()]
    night, shots = f"{due.day} May", _shots(mine, due)
    if not crawls:
        raise NotYetError(f"On {night} nobody crawls.")
    if early := [crawl for crawl in crawls if crawl.begin != due]:
        raise NotYetError(f"{early[0].node} crawls at {moment(early[0].begin)} KST.", shots)
    if len(crawls) > 1:
        nodes = " and ".join(crawl.node for crawl in crawls)
        raise NotYetError(f"On {night} {nodes} crawl, both at {due:%H:%M}.", shots)
    if crawls[0].end is None:
        raise NotYetError(
            f"On {night} {crawls[0].node} is stopped at {STOPPED:%H:%M}, and its crawl of 20 "
            "minutes does not come to its end.",
            shots,
        )


def _shots(mine: Replicas, due: datetime) -> tuple[Picture, ...]:
    hour, day = due.hour, due.day
    span = {"start": kst(2026, 5, day, hour - 1, 55), "end": kst(2026, 5, day, hour, 30)}
    return pictures(mine.runs(), Replicas(_as_it_should_be).runs(), **span)


def _as_it_should_be(ledger: Any, crawl: Callable[[], Awaitable[int]]) -> Any:
    from fastapi import FastAPI  # noqa: PLC0415 - slow to load

    scheduler = KSTScheduler()
    scheduler.add_job(once(ledger)(crawl), cron(hour=3), id="daily-nps-crawl")

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        scheduler.start()
        yield
        await scheduler.drain(20 * 60)

    return FastAPI(lifespan=lifespan)
