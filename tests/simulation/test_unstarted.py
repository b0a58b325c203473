"""What an executor has taken and not started when its process ends has its row, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.executors.pool import ThreadPoolExecutor
from lessons import MORNING, NIGHT, nothing, plain_scheduler

from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import Crash, Freeze, simulate
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCKED = "the event loop was blocked to the end"
CRASH = Crash("A", kst(2026, 5, 10, 3, 30))
SCHEDULERS = pytest.mark.parametrize("scheduler", [KSTScheduler, plain_scheduler])


async def block() -> None:
    """Hold the event loop for a day."""
    time.sleep(86_400)  # noqa: ASYNC251 - the fault to be shown


def two_at_three(first: Callable[[], object], **options: Any) -> Any:
    """Return a register function: two jobs due at 03:00, and the first is in the other's way."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(first, "cron", hour=3, minute=0, id="first", **options)
        scheduler.add_job(nothing, "cron", hour=3, minute=0, id="second", **options)

    return register


def rows(result: Any, job_id: str = "second") -> list[tuple[str, str]]:
    """Return status and detail of each row of a job."""
    runs = result.runs[result.runs["job_id"] == job_id]
    return list(zip(runs["status"].astype(str), runs["detail"], strict=True))


@SCHEDULERS
@pytest.mark.parametrize("grace", [1, None])
def test_behind_a_job_that_blocks_the_loop_to_the_end(scheduler: Any, grace: int | None) -> None:
    """A coroutine that is due with one that blocks the loop never gets its first step."""
    register = two_at_three(block, misfire_grace_time=grace)
    result = simulate(register, NIGHT, MORNING, scheduler=scheduler)
    assert rows(result, "first") == [("running", "")]
    assert rows(result) == [("missed", BLOCKED)]


@SCHEDULERS
def test_behind_a_job_that_blocks_the_loop_until_a_crash(scheduler: Any) -> None:
    """The process dies before the coroutine's first step."""
    result = simulate(two_at_three(block), NIGHT, MORNING, incidents=[CRASH], scheduler=scheduler)
    assert rows(result, "first") == [("cancelled", "the node crashed")]
    assert rows(result) == [("missed", "the node crashed before it started")]


@SCHEDULERS
@pytest.mark.parametrize(
    ("incidents", "running", "waiting"),
    [
        ((), ("running", ""), "not started by the end"),
        (
            (Crash("A", kst(2026, 5, 10, 4, 40)),),
            ("cancelled", "the node crashed"),
            "the node crashed before it started",
        ),
        (
            (Freeze("A", kst(2026, 5, 10, 4, 40), timedelta(days=1)),),
            ("running", ""),
            "the node was frozen to the end",
        ),
    ],
)
def test_behind_an_earlier_run_of_its_batch(
    incidents: Any, running: tuple[str, str], waiting: str, scheduler: Any
) -> None:
    """A backlog without coalescing runs one after another; the second one's turn never comes."""

    async def slow() -> None:
        await asyncio.sleep(86_400)

    def register(scheduler: Any) -> None:
        options: dict[str, Any] = {"coalesce": False, "misfire_grace_time": None}
        scheduler.add_job(slow, "cron", hour="3,4", minute=0, id="slow", **options)

    freeze = Freeze("A", kst(2026, 5, 10, 2, 30), timedelta(hours=2))
    result = simulate(register, NIGHT, MORNING, incidents=[freeze, *incidents], scheduler=scheduler)
    assert rows(result, "slow") == [running, ("missed", waiting)]


@pytest.mark.parametrize("incidents", [(), (CRASH,)])
def test_in_the_queue_of_a_thread_pool(incidents: Any) -> None:
    """A pool of one thread that is busy to the end leaves the second job in its queue."""

    def scheduler() -> Any:
        return plain_scheduler(executors={"default": ThreadPoolExecutor(1)})

    register = two_at_three(lambda: time.sleep(86_400), misfire_grace_time=None)
    result = simulate(register, NIGHT, MORNING, incidents=incidents, scheduler=scheduler)
    cut = ("cancelled", "the node crashed") if incidents else ("running", "")
    why = "the node crashed before it started" if incidents else "not started by the end"
    assert rows(result, "first") == [cut]
    assert rows(result) == [("missed", why)]


def test_nothing_is_recorded_while_a_simulation_is_unwound() -> None:
    """A job that swallows its end does not end its run a second time."""

    async def stubborn() -> None:
        with contextlib.suppress(BaseException):
            await asyncio.sleep(86_400)

    result = simulate(two_at_three(stubborn), NIGHT, MORNING)
    assert rows(result, "first") == [("running", "")]
    assert rows(result) == [("ok", "")]
