from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.takeover import Takeover
from kst_scheduler.simulation import simulate
from kst_scheduler.triggers.factories import at
from replicas import NIGHT, night

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kst_scheduler.scheduler.kst_scheduler import KSTScheduler

MINUTE = timedelta(minutes=1)


def in_virtual_time(test: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine function that waits for no real second."""
    ended: list[bool] = []

    async def job() -> None:
        await test()
        ended.append(True)

    def register(scheduler: KSTScheduler) -> None:
        scheduler.add_job(job, at(NIGHT), id="job")

    result = simulate(register, NIGHT, night(1))
    assert ended, list(result.runs["detail"])


def fail(takeover: Takeover) -> None:
    """Let a try of the claim find the ledger away."""
    with pytest.raises(LedgerUnavailableError), takeover.noting_outages():
        raise LedgerUnavailableError("no answer")


async def is_put_off(takeover: Takeover) -> bool:
    """Tell whether a try of the claim, which finds a lease that is over, is put off."""
    try:
        with takeover.noting_outages():
            assert await takeover.may_take()
    except LedgerUnavailableError:
        return True
    return False


@pytest.mark.parametrize(("lease", "seconds"), [(MINUTE, 6), (timedelta(seconds=9), 3)])
def test_a_claim_that_saw_an_outage_gives_holders_time(lease: timedelta, seconds: float) -> None:
    """From the first answer after the outage on; a further outage begins anew."""

    async def test() -> None:
        takeover = Takeover(MemoryLedger(), lease, lambda: True)
        assert not await is_put_off(takeover)
        for _ in range(2):
            fail(takeover)
            await asyncio.sleep(60)
            assert await is_put_off(takeover)
            await asyncio.sleep(seconds - 0.1)
            assert await is_put_off(takeover)
            await asyncio.sleep(0.1)
            assert not await is_put_off(takeover)

    in_virtual_time(test)


def test_a_claim_leaves_a_run_alone_whose_outcome_is_known_here() -> None:
    """It may have ended while the claim was on its way."""

    async def test() -> None:
        written = [False]
        takeover = Takeover(MemoryLedger(), MINUTE, lambda: written[0])
        assert await is_put_off(takeover)
        written[0] = True
        assert not await is_put_off(takeover)

    in_virtual_time(test)
