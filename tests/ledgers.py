"""Ledgers of every store, and requests to them, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy

from kst_scheduler.ledger import Claim, ClaimRequest, Ledger, LedgerRow, Outcome
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

NewLedger = Callable[[], Ledger]
"""Returns a ledger that is not open yet; called again, another one on the same rows."""

AnyLedger = TypeVar("AnyLedger", bound=Ledger)

THREE = kst(2026, 5, 10, 3)
HOUR = timedelta(hours=1)


def with_ledger(test: Callable[[Ledger], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Return a test of one open ledger as one that pytest runs over every store."""

    @functools.wraps(test)
    def run(new_ledger: NewLedger) -> None:
        async def with_open_ledger() -> None:
            async with opened(new_ledger()) as ledger:
                await test(ledger)

        asyncio.run(with_open_ledger())

    del run.__wrapped__  # pytest would ask for the inner test's arguments
    return run


@contextlib.asynccontextmanager
async def opened(ledger: AnyLedger) -> AsyncIterator[AnyLedger]:
    """Open a ledger, and close it."""
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()


def occurrence(minute: int = 0, job_id: str = "nps", *, manual: bool = False) -> Occurrence:
    """Return an occurrence so many minutes after 03:00."""
    return Occurrence(job_id, THREE + timedelta(minutes=minute), manual)


def request(
    of: Occurrence | None = None,
    instance: str = "A",
    lease: timedelta = HOUR,
    claimed_at: datetime = THREE,
    *,
    take_over: bool = True,
    retry: bool = False,
    max_attempts: int | None = None,
) -> ClaimRequest:
    """Return a request for an occurrence, of 03:00 unless another is named."""
    of = of or occurrence()
    token = f"{of} by {instance} at {claimed_at.timestamp()}"  # asked for again, it is the same
    return ClaimRequest(of, instance, lease, claimed_at, take_over, retry, max_attempts, token)


def outcome(status: str = "ok", second: float = 5, **fields: Any) -> Outcome:
    """Return an outcome so many seconds after 03:00."""
    duration = timedelta(seconds=second)
    return Outcome(status, THREE + duration, duration, **fields)


async def expire(ledger: Ledger, claim: Claim) -> None:
    """Let a claim's lease run out at once: it is renewed for a microsecond."""
    short = replace(claim.request, lease=timedelta(microseconds=1))
    assert await ledger.renew(replace(claim, request=short))


async def only_row(ledger: Ledger) -> LedgerRow:
    """Return the one row that there is."""
    (row,) = await ledger.rows()
    return row


def run_sql(url: str, statement: str) -> list[Any]:
    """Run a statement past the ledger, and return its rows."""
    driver = url.replace("postgresql:", "postgresql+psycopg:")
    engine = sqlalchemy.create_engine(driver, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return list(result) if result.returns_rows else []
    finally:
        engine.dispose()


def end_sessions(url: str) -> None:
    """End all sessions of a database of PostgreSQL, as an administrator does."""
    server, _, name = url.rpartition("/")
    sessions = f"FROM pg_stat_activity WHERE datname = '{name}'"
    run_sql(f"{server}/postgres", f"SELECT pg_terminate_backend(pid) {sessions}")
