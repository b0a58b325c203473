"""PostgreSQL is killed and comes back while a worker claims, works and writes."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from handed_off import fire
from in_loop import in_loop
from kst_scheduler.distributed import hand_off, task_app, work
from kst_scheduler.ledger import SqlLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.servers.embedded import EmbeddedServer
from kst_scheduler.servers.postgres import Postgres
from kst_scheduler.timezone import KST
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kst_scheduler.ledger import Claim, ClaimRequest

AWAY = 0.2
"""For how many seconds PostgreSQL is away."""


@pytest.fixture
def postgres() -> Iterator[EmbeddedServer]:
    """Yield a PostgreSQL that may be killed."""
    with EmbeddedServer(Postgres()) as server:
        yield server


class KillingLedger(SqlLedger):
    """A ledger whose database is killed at its first claim, and back a moment later."""

    def __init__(self, server: EmbeddedServer) -> None:
        super().__init__(server.url)
        self.server = server
        self.kills = 0

    async def claim(self, request: ClaimRequest) -> Claim:
        """Claim, if the database is there."""
        if not self.kills:
            self.kill()
        return await super().claim(request)

    def kill(self) -> None:
        """Kill the database now; this thread brings it back, as the server ends with it."""
        self.kills += 1
        self.server.kill()
        asyncio.get_running_loop().call_later(AWAY, self.server.restart)


@in_loop
async def test_a_restart_loses_nothing(postgres: EmbeddedServer) -> None:
    """During a claim, in the middle of a run, and when its end is written."""
    due = datetime.now(KST).replace(microsecond=0)
    ledger, app, scheduler = KillingLedger(postgres), task_app(postgres.url), KSTScheduler()
    await ledger.open()

    async def crawl() -> int:
        if ledger.kills == 1:
            ledger.kill()
        return 7

    handed = hand_off(once(ledger, catch_up=timedelta(hours=1))(crawl), app)
    names = [f"job-{number}" for number in range(6)]
    for name in names:
        scheduler.add_job(handed, cron(hour=3), id=name)
    working = asyncio.create_task(work(app, scheduler, concurrency=3))
    try:
        for name in names[:4]:
            await fire(handed, Occurrence(name, due))
        async with asyncio.timeout(60):
            while ledger.kills < 2:  # noqa: ASYNC110 - the jobs do it
                await asyncio.sleep(0.01)
        for name in names[4:]:  # while it is away
            await fire(handed, Occurrence(name, due))
        async with asyncio.timeout(60):
            while list(await app.job_manager.list_jobs_async()):  # noqa: ASYNC110 - the worker's
                await asyncio.sleep(0.05)
        rows = await ledger.rows()
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        await app.close_async()
        await ledger.close()
    assert {row.source: (row.status, row.attempt, row.rows) for row in rows} == dict.fromkeys(
        names, ("ok", 1, 7)
    )
