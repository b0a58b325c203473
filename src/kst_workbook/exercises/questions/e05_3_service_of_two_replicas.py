"""Exercise 5.3: a service that may have a second replica."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers import SchedulerAlreadyRunningError

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.runs.table import NAT, RunLog
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import current_node, simulate
from kst_scheduler.timezone import KST, in_milliseconds, kst
from kst_scheduler.triggers.factories import cron
from kst_workbook.exercises.crawl_nights import at_once
from kst_workbook.exercises.deployment import require_app
from kst_workbook.exercises.exercise import (
    NotYetError,
    Picture,
    Right,
    error_in_words,
    exercise,
)
from kst_workbook.exercises.judging import (
    moment,
    pictures,
    require_function,
)
from kst_workbook.exercises.shared_state import each_replica_for_itself

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    import pandas as pd

DEPLOYMENT: Final = "https://fastapi.tiangolo.com/deployment/concepts/#one-time-only-tasks"
SPAN: Final = kst(2026, 5, 10, 2, 50), kst(2026, 5, 11, 5)
DUE: Final = kst(2026, 5, 10, 3), kst(2026, 5, 11, 3)
STOPPED: Final = kst(2026, 5, 11, 3, 2)
OTHER_STOPPED: Final = kst(2026, 5, 11, 4, 30)
KILLED: Final = STOPPED + timedelta(minutes=30)
"""When the platform no longer waits."""
CRAWL: Final = timedelta(minutes=20)
LONG: Final = timedelta(minutes=100)


@dataclass
class Crawl:
    """One crawl."""

    node: str
    begin: datetime
    end: datetime | None = None
    """None while it runs, and when it was cut."""


class Replicas:
    """Replicas A and B of a service through two nights; the one that crawls on 11 May is stopped.

    The other one is stopped at 04:30, when nothing runs on it.
    """

    def __init__(self, make_service: Callable[..., Any], crawl_takes: timedelta = CRAWL) -> None:
        self.crawls: list[Crawl] = []
        self.job_errors: list[BaseException] = []
        self.closed: dict[str, datetime] = {}
        """When the lifespan of a replica ended; with it ends its process."""
        self._make_service = make_service
        self._crawl_takes = crawl_takes
        self._ledger = MemoryLedger()
        self._errors: list[BaseException] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stop: dict[str, asyncio.Event] = {}
        with _errors_of_jobs(self.job_errors):
            simulate(self._boot, *SPAN, nodes=2)
        for error in self._errors:
            raise error

    @property
    def stopped(self) -> str | None:
        """The replica that crawls on 11 May; None: neither does."""
        nodes = [crawl.node for crawl in self.crawls if crawl.begin.day == STOPPED.day]
        return nodes[0] if nodes else None

    def _boot(self, _scheduler_of_the_simulation: object) -> None:
        stop = self._stop[current_node()] = asyncio.Event()
        seconds = (OTHER_STOPPED - datetime.now(KST)).total_seconds()
        asyncio.get_running_loop().call_later(seconds, stop.set)
        self._tasks.append(asyncio.create_task(self._serve(current_node())))

    async def _serve(self, node: str) -> None:
        try:
            app = require_app(self._make_service(self._ledger, self._crawl))
            async with app.router.lifespan_context(app):
                await self._stop[node].wait()
            self.closed[node] = in_milliseconds(datetime.now(KST))
        except Exception as error:  # noqa: BLE001 - raised again when the simulation is over
            self._errors.append(error)

    async def _crawl(self) -> int:
        crawl = Crawl(current_node(), in_milliseconds(datetime.now(KST)))
        self.crawls.append(crawl)
        takes = CRAWL
        if crawl.begin.day == STOPPED.day:
            takes = self._crawl_takes
            seconds = (STOPPED - crawl.begin).total_seconds()
            asyncio.get_running_loop().call_later(max(seconds, 0), self._stop[crawl.node].set)
        await asyncio.sleep(takes.total_seconds())
        if crawl.node not in self.closed:
            crawl.end = in_milliseconds(datetime.now(KST))
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
        "Section 5.10: two schedulers, one ledger. `once` is the wrapper around the job.",
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
    _require_an_end_in_time(mine, "a crawl of 20 minutes")
    _require_an_end_in_time(_played(make_service, LONG), "a crawl that takes 100 minutes")
    if mine.rows() < len(DUE):
        raise NotYetError(f"Two nights are over, and the ledger has {mine.rows()} rows of them.")
    why = (
        "Each night has one crawl. On 11 May its replica is stopped at 03:02: the crawl goes on to "
        "its end, and no other begins."
    )
    return Right(why, _shots(mine, DUE[1])[:1])


def _require_an_end_in_time(mine: Replicas, crawl: str) -> None:
    closed = mine.closed.get(mine.stopped or "")
    if closed is None or closed > KILLED:
        ends = "has not closed by 05:00" if closed is None else f"closes at {closed:%H:%M}"
        raise NotYetError(
            f"On 11 May, with {crawl}, your service is stopped at {STOPPED:%H:%M} and {ends}. The "
            f"platform kills it at {KILLED:%H:%M}.",
            _shots(mine, DUE[1]),
        )


def _played(make_service: Callable[..., Any], crawl_takes: timedelta = CRAWL) -> Replicas:
    try:
        return Replicas(make_service, crawl_takes)
    except SchedulerAlreadyRunningError:
        raise NotYetError(
            "Your function is called for each replica, and both have the same scheduler: the "
            "second cannot start it. Section 5.9 says where to make it."
        ) from None


def _require_one_crawl(mine: Replicas, due: datetime) -> None:
    crawls = [crawl for crawl in mine.crawls if crawl.begin.date() == due.date()]
    night, shots = f"{due.day} May", _shots(mine, due)
    if not crawls:
        words = f"On {night} nobody crawls."
        if mine.job_errors:
            words += f" Your job raises `{error_in_words(mine.job_errors[0])}`"
        raise NotYetError(words)
    if early := [crawl for crawl in crawls if crawl.begin != due]:
        raise NotYetError(f"{early[0].node} crawls at {moment(early[0].begin)} KST.", shots)
    if len(crawls) > 1:
        nodes = " and ".join(crawl.node for crawl in crawls)
        raise NotYetError(f"On {night} {nodes} crawl, both at {due:%H:%M}.", shots)
    if crawls[0].end is None:
        raise NotYetError(
            f"On {night} {crawls[0].node} is stopped at {STOPPED:%H:%M}, and its crawl of 20 "
            "minutes does not end.",
            shots,
        )


@contextlib.contextmanager
def _errors_of_jobs(errors: list[BaseException]) -> Iterator[None]:
    """Note what jobs raise in the block: APScheduler logs it, on a scheduler of the reader's."""
    handler = _ErrorsOfJobs(errors)
    logger = logging.getLogger("apscheduler.executors")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _ErrorsOfJobs(logging.Handler):
    def __init__(self, errors: list[BaseException]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self._errors.append(record.exc_info[1])


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
