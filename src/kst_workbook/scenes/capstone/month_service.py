"""The service of the workbook over a bad month: what it does, what was meant, and a replay."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from kst_scheduler.errors import NotRunningError
from kst_scheduler.fire_times import fire_times
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.runs.fates import fates
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import SimulationResult, simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import cron
from kst_workbook import nps
from kst_workbook.nps.sandbox import DAILY_QUOTA, Sandbox, use_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from redis.asyncio import Redis

    from kst_scheduler.ledger import Ledger
    from kst_workbook.nps import CrawlResult
    from kst_workbook.scenes.capstone.bad_month import BadMonth

CRAWL: Final = "daily-nps-crawl"
TOKEN: Final = "hourly-token"  # noqa: S105 - the name of a job
REPORT: Final = "morning-report"

CRAWL_CALLS: Final = 2_500
"""Calls of the quota that a crawl spends; data.go.kr grants QUOTA a day."""
QUOTA: Final = DAILY_QUOTA
CRAWL_TAKES: Final = timedelta(minutes=40)

_sandbox: Sandbox | None = None
"""The sandbox of the replay that goes on; simulations run one at a time."""


@dataclass(frozen=True)
class Service:
    """What a register function is given on each replica, as ``create_app`` gives it."""

    scheduler: AsyncIOScheduler
    ledger: Ledger
    redis: Redis


@dataclass(frozen=True)
class Replay:
    """A month as a service went through it."""

    result: SimulationResult
    history: pd.DataFrame
    """The ledger's rows; empty where the service writes none."""
    fates: pd.DataFrame
    """What became of each occurrence that was meant (``kst_scheduler.runs.fates``)."""
    calls: pd.Series[int]
    """Calls of the quota that were asked for, by Korean day, those of others included."""


async def crawl_nps() -> CrawlResult:
    """Crawl as the package does, at the size of the real thing: 2,500 calls, and 40 minutes.

    The sandbox answers its 250 workplaces in 3 calls; the others are counted without being made.

    Raises:
        QuotaExceededError: the day's 10,000 calls do not suffice.

    """
    if _sandbox is None:
        raise NotRunningError("crawl_nps() of the capstone runs in replay(...) only")
    _sandbox.calls[_today()] += CRAWL_CALLS - 3
    result = await nps.crawl_nps()
    await asyncio.sleep(CRAWL_TAKES.total_seconds())
    return result


async def renew_token() -> None:
    """Take a second, as the real thing does."""
    await asyncio.sleep(1)


async def send_report() -> None:
    """Take a minute, as the real thing does."""
    await asyncio.sleep(60)


def what_was_meant(start: datetime, end: datetime) -> dict[str, pd.DatetimeIndex]:
    """Return when each job should run, whatever its trigger says.

    The crawl at 03:00 in Korea every night, the token every full hour, the report at 09:00 on
    Korean business days.
    """
    meant = {
        CRAWL: cron(hour=3),
        TOKEN: cron(minute=0),
        REPORT: on_business_days(cron(hour=9)),
    }
    return {job: fire_times(trigger, start, end) for job, trigger in meant.items()}


def replay(
    register: Callable[[Service], object],
    month: BadMonth,
    scheduler: Callable[[], AsyncIOScheduler] = KSTScheduler,
    host_timezone: str = "UTC",
) -> Replay:
    """Run a service through a month, on three replicas that share a Redis and a ledger.

    ``register`` adds the jobs on each replica, each time that its process starts. Both servers
    are new with each replay, and simulated like everything else.

    Raises:
        SimulationError, and what ``register`` raises: as of ``simulate``.

    """
    redis, ledger = SimulatedRedis(month.redis_away), MemoryLedger()

    def on_replica(scheduler: AsyncIOScheduler) -> None:
        register(Service(scheduler, ledger, redis.client()))

    with _quota(month) as sandbox:
        result = simulate(
            on_replica,
            month.start,
            month.end,
            month.nodes,
            month.incidents,
            scheduler,
            host_timezone,
        )
    history = _at_once(ledger.history())
    meant = what_was_meant(month.start, month.end)
    # A clock that is ahead begins the next month before this one is over.
    runs = result.runs[result.runs["scheduled_at"] < month.end]
    return Replay(
        result=result,
        history=history,
        fates=fates(runs, meant, history=history),
        calls=_calls(sandbox, month),
    )


@contextmanager
def _quota(month: BadMonth) -> Iterator[Sandbox]:
    """Let crawls go to a sandbox of which others have spent calls already."""
    global _sandbox  # noqa: PLW0603 - simulations run one at a time
    with use_sandbox() as sandbox:
        sandbox.calls.update(month.spent)
        _sandbox = sandbox
        try:
            yield sandbox
        finally:
            _sandbox = None


def _today() -> date:
    return datetime.now(KST).date()


def _calls(sandbox: Sandbox, month: BadMonth) -> pd.Series[int]:
    days = [day.date() for day in pd.date_range(month.start, month.end, inclusive="left")]
    return pd.Series([sandbox.calls[day] for day in days], index=days, name="calls")


def _at_once(coroutine: Coroutine[Any, Any, pd.DataFrame]) -> pd.DataFrame:
    """Return the result of a coroutine that never waits, also where an event loop runs."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: pd.DataFrame = end.value
        return result
    raise AssertionError("a ledger in memory waits for nothing")
