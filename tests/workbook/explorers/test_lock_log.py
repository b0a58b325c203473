from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kst_scheduler import Freeze, kst, redis_lock, simulate
from kst_scheduler.simulation import Node, SimulatedRedis
from kst_workbook.explorers.lock_log import Holding, LockLog

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

START = kst(2026, 5, 10, 3)


def held(work: int, *, renewed: bool = False, nodes: Any = 1, freeze: int = 0) -> list[Holding]:
    """Simulate a run at 03:00 that holds a lock of 60 seconds for ``work`` of them."""
    server, log = SimulatedRedis(), LockLog("lock")

    async def job() -> None:
        client = log.watch(server.client())
        plain = client.lock("lock", timeout=60, blocking=False)
        async with redis_lock("lock", 60, client=client) if renewed else plain:
            for _ in range(work):
                await asyncio.sleep(1)

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(job, "cron", hour=3, minute=0, id="job")

    frozen = [Freeze("A", START + timedelta(seconds=10), timedelta(seconds=freeze))] * bool(freeze)
    simulate(register, START, START + timedelta(minutes=20), nodes, frozen)
    return log.holdings()


def seconds(holdings: list[Holding]) -> list[tuple[str, float, float, float | None]]:
    """Return node, begin, end of the lease and release, in whole seconds after 03:00."""
    return [
        (
            each.node,
            round((each.begin - START).total_seconds()),
            round((each.lease_end - START).total_seconds()),
            None if each.released is None else round((each.released - START).total_seconds()),
        )
        for each in holdings
    ]


def test_a_lock_that_is_released_says_when_its_lease_would_have_ended() -> None:
    """redis-py's lock is not renewed: its lease counts from the beginning."""
    (one,) = held(30)
    assert seconds([one]) == [("A", 0, 60, 30)]
    assert one.end == one.released


def test_a_lease_that_ends_during_the_work_ends_the_holding() -> None:
    """The holder continues to work, and does not know."""
    (one,) = held(90)
    assert seconds([one]) == [("A", 0, 60, None)]
    assert one.end == one.lease_end


def test_a_renewal_moves_the_end() -> None:
    """Every third of its time to live, so the lease is never far from a minute."""
    assert seconds(held(90, renewed=True)) == [("A", 0, 140, 90)]


def test_a_freeze_ends_what_it_keeps_from_being_renewed() -> None:
    """The last renewal counts, by the server's clock."""
    assert seconds(held(30, renewed=True, freeze=300)) == [("A", 0, 60, None)]


def test_the_next_holder_comes_after_the_one_before() -> None:
    """B's clock is 40 seconds late, and A has ended by then."""
    assert seconds(held(30, nodes=[Node("A"), Node("B", -40)])) == [
        ("A", 0, 60, 30),
        ("B", 40, 100, 70),
    ]


def test_a_caller_that_finds_it_busy_is_not_a_holder() -> None:
    """A lock that refuses changes nothing for its holder."""
    assert seconds(held(50, nodes=[Node("A"), Node("B", -40)])) == [("A", 0, 60, 50)]
