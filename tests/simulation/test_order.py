"""Two simulations give equal tables, also where asyncio goes by the addresses of its objects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kst_scheduler import cron, kst, simulate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

NAMES = [f"page {number}" for number in range(12)]


def orders(job: Callable[[list[str]], Awaitable[None]]) -> list[list[str]]:
    """Return what a job noted in each of eight simulations, with other addresses each time."""
    noted, kept = [], []
    for number in range(8):
        names: list[str] = []

        def register(scheduler: AsyncIOScheduler, names: list[str] = names) -> None:
            scheduler.add_job(job, cron(hour=3, minute=0), id="job", args=[names])

        kept.append([bytearray(1_000 + 64 * number) for _ in range(50 * number)])
        result = simulate(register, kst(2026, 5, 10, 3), kst(2026, 5, 10, 4))
        assert list(result.runs["status"]) == ["ok"], list(result.runs["detail"])
        noted.append(names)
    return noted


async def page(name: str) -> str:
    """Crawl a page, for a second."""
    await asyncio.sleep(1)
    return name


def test_coroutines_begin_in_the_order_in_which_they_are_given() -> None:
    """as_completed puts them into a set first."""

    async def begun(name: str, names: list[str]) -> None:
        names.append(name)

    async def job(names: list[str]) -> None:
        for each in asyncio.as_completed([begun(name, names) for name in NAMES], timeout=60):
            await each

    assert orders(job) == [NAMES] * 8


def test_what_is_done_is_given_out_in_the_same_order() -> None:
    """By wait, which returns sets, of tasks and of threads' futures."""

    async def job(names: list[str]) -> None:
        loop = asyncio.get_running_loop()
        done, _ = await asyncio.wait([loop.create_task(page(name)) for name in NAMES])
        names += [each.result() for each in done]
        threads = [loop.run_in_executor(None, str.upper, name) for name in NAMES]
        done_threads, _ = await asyncio.wait(threads)
        names += [each.result() for each in done_threads]

    first, *others = orders(job)
    assert sorted(first) == sorted([*NAMES, *map(str.upper, NAMES)])
    assert others == [first] * 7


def test_tasks_are_cancelled_in_the_same_order() -> None:
    """By a group one of whose tasks fails."""

    async def cancelled(name: str, names: list[str]) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            names.append(name)

    async def fail() -> None:
        raise ValueError("wrong")

    async def job(names: list[str]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for name in NAMES:
                    group.create_task(cancelled(name, names), name=name)
                await asyncio.sleep(1)
                group.create_task(fail())
        except* ValueError:
            pass

    first, *others = orders(job)
    assert sorted(first) == sorted(NAMES)
    assert others == [first] * 7
