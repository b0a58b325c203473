"""A thousand jobs that are due at once, in virtual time: no busy machine changes what is proved."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pytest

from kst_scheduler import cron, kst
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.service import Settings, components, create_app
from kst_scheduler.service.app import lifespan
from kst_scheduler.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kst_scheduler.ledger import Claim, ClaimRequest, LedgerRow, Outcome
    from kst_scheduler.service import Service

T = TypeVar("T")

JOBS = 1_000
DUE = kst(2026, 5, 10, 3)
CONNECTIONS = 10
SECONDS_A_STATEMENT = 0.04
"""So 1,000 claims take four seconds, in which a look and its write stand among them."""


class BusyLedger(MemoryLedger):
    """A ledger whose statements take time, on a few connections, first come, first served."""

    def __init__(self) -> None:
        super().__init__()
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self.waiting: Counter[str] = Counter()
        """Statements that are not answered yet, by their name."""
        self.answered: Counter[str] = Counter()
        self.looks_behind_claims = 0
        """How many looks had to wait for claims."""

    async def claim(self, request: ClaimRequest) -> Claim:
        """Claim, when it is its turn."""
        return await self._in_turn("claim", super().claim(request))

    async def finish(self, claim: Claim, outcome: Outcome) -> bool:
        """Finish, when it is its turn."""
        return await self._in_turn("finish", super().finish(claim, outcome))

    async def rows(self, *arguments: Any, **options: Any) -> list[LedgerRow]:
        """Read, as a look does, when it is its turn."""
        self.looks_behind_claims += self.waiting["claim"] > CONNECTIONS
        return await self._in_turn("rows", super().rows(*arguments, **options))

    async def prove_writable(self) -> None:
        """Write, as a look does, when it is its turn."""
        await self._in_turn("prove_writable", super().prove_writable())

    async def _in_turn(self, name: str, answer: Coroutine[Any, Any, T]) -> T:
        self.waiting[name] += 1
        async with self._connections:
            await asyncio.sleep(SECONDS_A_STATEMENT)
        self.waiting[name] -= 1
        self.answered[name] += 1
        return await answer


@pytest.mark.long
def test_a_thousand_due_jobs_leave_a_service_alive_and_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each probe is 200, from before the jobs are due until all have ended; also those between."""
    asked: Counter[tuple[str, int]] = Counter()
    probes_meanwhile = 0
    ledgers: list[BusyLedger] = []
    tasks: list[asyncio.Task[None]] = []

    def make_ledger(_settings: Settings) -> BusyLedger:
        ledgers.append(BusyLedger())
        return ledgers[0]

    def jobs(service: Service) -> None:
        @once(service.ledger)
        async def job() -> None:
            await asyncio.sleep(10)

        for number in range(JOBS):
            service.scheduler.add_job(job, cron(hour=3, minute=0), id=f"job-{number}")

    async def probe(client: httpx.AsyncClient, waiting: Counter[str]) -> None:
        nonlocal probes_meanwhile
        while True:
            probes_meanwhile += waiting["claim"] + waiting["finish"] > CONNECTIONS
            for path in ("/livez", "/readyz", "/healthz"):
                asked[path, (await client.get(path)).status_code] += 1
            await asyncio.sleep(0.1)

    async def serve() -> None:
        app = create_app(Settings(jobs=jobs))
        transport = httpx.ASGITransport(app)
        async with (
            lifespan(app),
            httpx.AsyncClient(transport=transport, base_url="http://service") as client,
        ):
            await probe(client, ledgers[0].waiting)

    def boot(_: object) -> None:
        tasks.append(asyncio.create_task(serve()))

    monkeypatch.setattr(components, "_make_ledger", make_ledger)
    seconds = 60
    simulate(boot, DUE - timedelta(seconds=8), DUE + timedelta(seconds=seconds - 8))
    (ledger,) = ledgers
    assert (ledger.answered["claim"], ledger.answered["finish"]) == (JOBS, JOBS)
    assert ledger.looks_behind_claims > 0
    assert probes_meanwhile > 30
    count = asked["/livez", 200]
    assert count > 10 * seconds * 0.9
    assert asked == {(path, 200): count for path in ("/livez", "/readyz", "/healthz")}
