from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from in_loop import in_loop
from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.once.retry import retry_while_unavailable
from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HALF_A_MINUTE = timedelta(seconds=30)
START = kst(2026, 5, 10)


def in_virtual_time(test: Callable[[], Awaitable[object]]) -> Any:
    """Return what a coroutine returns or raises, and the seconds that it took, waiting for none."""
    outcome: list[Any] = []

    async def job() -> None:
        began = asyncio.get_running_loop().time()
        try:
            outcome.append(await test())
        except Exception as error:  # noqa: BLE001 - it is looked at
            outcome.append(error)
        outcome.append(asyncio.get_running_loop().time() - began)

    def register(scheduler: Any) -> None:
        scheduler.add_job(job, at(START), id="job")

    simulate(register, START, START + timedelta(hours=1))
    return outcome


class Ledger:
    """Answers once the outage is over."""

    def __init__(self, outage: float) -> None:
        self.outage = outage
        self.asked: list[float] = []

    async def ask(self) -> str:
        """Answer."""
        now = asyncio.get_running_loop().time()
        self.asked.append(now)
        if now < self.outage:
            raise LedgerUnavailableError("connection refused")
        return "answer"


def test_it_asks_again_after_pauses_that_double() -> None:
    """A ledger that is back after ten seconds answers the next try."""
    ledger = Ledger(outage=10)
    answer, seconds = in_virtual_time(
        lambda: retry_while_unavailable(ledger.ask, HALF_A_MINUTE, "the claim")
    )
    assert answer == "answer"
    pauses = [round(b - a, 3) for a, b in zip(ledger.asked, ledger.asked[1:], strict=False)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert seconds == pytest.approx(11.3)


def test_it_gives_up_when_patience_ends() -> None:
    """The error says what was tried, for how long, and why it failed."""
    ledger = Ledger(outage=600)
    error, seconds = in_virtual_time(
        lambda: retry_while_unavailable(ledger.ask, HALF_A_MINUTE, "the claim")
    )
    assert isinstance(error, LedgerUnavailableError)
    assert str(error) == "the claim was given up after 30 s: connection refused"
    assert seconds == 30


def test_a_try_that_hangs_is_given_up_too() -> None:
    """Patience bounds the whole, whatever the ledger's own limits are."""

    async def hang() -> None:
        await asyncio.sleep(600)

    error, seconds = in_virtual_time(
        lambda: retry_while_unavailable(hang, HALF_A_MINUTE, "the claim")
    )
    assert isinstance(error, LedgerUnavailableError)
    assert str(error) == "the claim was given up after 30 s: no answer"
    assert seconds == 30


def test_an_outage_is_one_line(our_log: pytest.LogCaptureFixture) -> None:
    """However often it is asked again."""
    our_log.set_level(logging.DEBUG, "kst_scheduler.once.retry")
    in_virtual_time(
        lambda: retry_while_unavailable(Ledger(outage=10).ask, HALF_A_MINUTE, "the claim")
    )
    assert [record.getMessage() for record in our_log.records] == [
        "the claim is tried again for 30 s: connection refused"
    ]


@in_loop
async def test_other_errors_pass_at_once() -> None:
    """A fault in the code is not an outage, and neither is a TimeoutError of somebody else's."""
    for error in (ValueError("a fault"), TimeoutError("another limit")):

        async def fail(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)) as raised:
            await retry_while_unavailable(fail, HALF_A_MINUTE, "the claim")
        assert raised.value is error


@in_loop
async def test_a_cancellation_passes_at_once() -> None:
    """Whoever cancels is not kept waiting."""
    task = asyncio.create_task(
        retry_while_unavailable(Ledger(outage=1e12).ask, HALF_A_MINUTE, "the claim")
    )
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
