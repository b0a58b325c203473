from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from in_loop import in_loop
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.service import health
from kst_scheduler.service.health import LedgerWatch

if TYPE_CHECKING:
    import pytest

    from served import Serve


class Fragile(MemoryLedger):
    """A ledger that is away, or hangs, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.asked = 0

    async def rows(self, *arguments: Any, **options: Any) -> list[Any]:
        """Answer, hang or fail."""
        self.asked += 1
        await self.answers.wait()
        if self.error:
            raise self.error
        return await super().rows(*arguments, **options)


@in_loop
async def test_a_service_that_runs_is_ok(serve: Serve) -> None:
    """Without a key."""
    async with serve() as it:
        answer = await it.client.get("/healthz", headers={"Authorization": ""})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "reasons": []})


@in_loop
async def test_a_scheduler_that_stopped_is_unavailable(serve: Serve) -> None:
    """Also while it drains, or was paused as a whole."""
    async with serve() as it:
        it.service.scheduler.pause()
        answer = await it.client.get("/healthz")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "unavailable",
            "reasons": ["the scheduler does not run"],
        }
        it.service.scheduler.resume()
        assert (await it.client.get("/healthz")).status_code == 200
        await it.service.scheduler.drain(0)
        assert (await it.client.get("/healthz")).status_code == 503


@in_loop
async def test_a_ledger_that_is_away_is_unavailable(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason names no address; the log has it once, without its password."""
    caplog.set_level("INFO")
    ledger = Fragile()
    watch = LedgerWatch(ledger)
    async with serve() as it:
        it.app.state.watch = watch
        ledger.error = LedgerUnavailableError("postgresql://app:hidden@db refused")
        caplog.clear()
        for _ in range(3):
            await watch.look()
        answer = await it.client.get("/healthz")
        assert (answer.status_code, answer.json()["reasons"]) == (
            503,
            ["the ledger cannot be reached"],
        )
        ledger.error = None
        await watch.look()
        assert (await it.client.get("/healthz")).status_code == 200
    assert [record.message for record in caplog.records if record.name == health.__name__] == [
        "the ledger cannot be reached: postgresql://app:***@db refused",
        "the ledger answers again",
    ]


@in_loop
async def test_it_answers_while_the_ledger_hangs(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that is late is waited for, once, and nobody who asks waits with it."""
    monkeypatch.setattr(health, "SECONDS_TO_ANSWER", 0.01)
    ledger = Fragile()
    watch = LedgerWatch(ledger)
    async with serve() as it:
        it.app.state.watch = watch
        ledger.answers.clear()
        looking = asyncio.create_task(watch.look())
        while watch.trouble is None:
            assert (await it.client.get("/healthz")).status_code in {200, 503}
            await asyncio.sleep(0)  # this client never waits for anything, so nothing else runs
        answer = await it.client.get("/healthz")
        assert answer.json()["reasons"] == ["the ledger does not answer within a second"]
        assert ledger.asked == 1
        ledger.answers.set()
        await looking
        assert (await it.client.get("/healthz")).status_code == 200


@in_loop
async def test_the_service_keeps_looking(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second, whatever is wrong, and no longer than it lives."""
    monkeypatch.setattr(health, "SECONDS_BETWEEN_LOOKS", 0.001)
    async with serve() as it:
        ledger = Fragile()
        it.app.state.watch._ledger = ledger
        ledger.error = ZeroDivisionError("a bug")
        while ledger.asked < 3:  # noqa: ASYNC110 - the look itself is what is waited for
            await asyncio.sleep(0.001)
        assert (await it.client.get("/healthz")).status_code == 503
    asked = ledger.asked
    await asyncio.sleep(0.01)
    assert ledger.asked == asked
