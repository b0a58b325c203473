from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from in_loop import in_loop
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.executor import OccurrenceExecutor
from kst_scheduler.scheduler.job_threads import threads_of, wait_for_threads, watch_threads
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.occurrence import RUNNING, Occurrence
from kst_scheduler.simulation import simulate
from kst_scheduler.simulation.loop import DEFAULT_THREADS
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import at, cron

if TYPE_CHECKING:
    from collections.abc import Callable

    from kst_scheduler.ledger import Claim, ClaimRequest

THREE = Occurrence("nps", kst(2026, 5, 10, 3))


def as_run(of: Occurrence = THREE) -> None:
    """Have the calling task run an occurrence."""
    RUNNING.set((of.job_id, of.scheduled_at, of.manual))


async def begun(function: Callable[[], object]) -> asyncio.Task[object]:
    """Begin a thread in a task, as a job does."""
    task: asyncio.Task[object] = asyncio.create_task(asyncio.to_thread(function))
    await asyncio.sleep(0)
    return task


@in_loop
async def test_a_thread_is_noted_until_it_has_ended() -> None:
    """Cancelling what waits for it does not end it; the private attribute is still there."""
    assert hasattr(asyncio.get_running_loop(), "_default_executor")
    watch_threads(asyncio.get_running_loop())
    as_run()
    go_on = threading.Event()
    task = await begun(go_on.wait)
    assert threads_of(THREE) == 1
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert threads_of(THREE) == 1
    go_on.set()
    await wait_for_threads()
    assert threads_of(THREE) == 0


@in_loop
async def test_waiting_for_threads_is_not_cancelled() -> None:
    """However often: the thread is at work all the same."""
    watch_threads(asyncio.get_running_loop())
    as_run()
    go_on = threading.Event()
    await begun(go_on.wait)
    waiting = asyncio.create_task(wait_for_threads())
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0.01)
    assert not waiting.done()
    go_on.set()
    await waiting


@in_loop
async def test_threads_of_other_runs_are_told_apart() -> None:
    """By the occurrence that began them; what no job has begun belongs to none."""
    watch_threads(asyncio.get_running_loop())
    go_on, other = threading.Event(), Occurrence("dart", THREE.scheduled_at)
    await begun(go_on.wait)
    as_run(other)
    await begun(go_on.wait)
    as_run()
    await wait_for_threads()
    assert (threads_of(THREE), threads_of(other)) == (0, 1)
    go_on.set()
    as_run(other)
    await wait_for_threads()


@in_loop
async def test_a_pool_of_the_reader_s_own_is_watched_and_kept() -> None:
    """Each pool once, whoever watches."""
    loop = asyncio.get_running_loop()
    pool = ThreadPoolExecutor(1)
    loop.set_default_executor(pool)
    watch_threads(loop)
    submit = pool.submit
    watch_threads(loop)
    assert pool.submit is submit
    as_run()
    go_on = threading.Event()
    tasks = [await begun(go_on.wait) for _ in range(2)]
    assert threads_of(THREE) == 2  # one of them waits for a free thread
    tasks[1].cancel()
    await asyncio.sleep(0.01)
    assert threads_of(THREE) == 1  # and that one can be cancelled
    go_on.set()
    await wait_for_threads()


@in_loop
async def test_a_look_up_of_a_name_is_no_work_of_a_job() -> None:
    """It may hang for half a minute, and harms nothing."""
    loop = asyncio.get_running_loop()
    watch_threads(loop)
    as_run()
    looking = asyncio.ensure_future(loop.getaddrinfo("localhost", 80))
    await asyncio.sleep(0)
    assert threads_of(THREE) == 0
    loop.set_debug(True)  # it then goes through a method of the loop
    again = asyncio.ensure_future(loop.getaddrinfo("localhost", 80))
    await asyncio.sleep(0)
    assert threads_of(THREE) == 0
    await asyncio.gather(looking, again)


@in_loop
async def test_other_work_of_the_module_socket_is_work_of_a_job() -> None:
    """It blocks as long as it likes, so it belongs to its run, and not among the look-ups."""
    loop, go_on = asyncio.get_running_loop(), threading.Event()
    watch_threads(loop)
    as_run()

    def accept() -> None:
        go_on.wait()

    accept.__module__ = socket.socket.accept.__module__
    accepting = loop.run_in_executor(None, accept)
    found = threads_of(THREE)
    go_on.set()
    await accepting
    assert found == 1


def test_a_loop_that_hides_its_pool_is_left_alone() -> None:
    """As uvloop's."""
    watch_threads(object())  # type: ignore[arg-type]


@in_loop
@pytest.mark.parametrize("in_job", [True, False])
async def test_a_drain_names_a_run_whose_thread_goes_on(in_job: bool) -> None:
    """It was "cancelled", while the thread worked on; also for a job without ``once``."""
    go_on, started, scheduler = threading.Event(), asyncio.Event(), KSTScheduler()

    async def crawl() -> None:
        started.set()
        if in_job:
            await asyncio.to_thread(go_on.wait)
        await asyncio.Event().wait()

    scheduler.add_job(crawl, at(kst(2099, 1, 1)), id="nps")
    scheduler.start()
    assert isinstance(scheduler._executors["default"], OccurrenceExecutor)
    occurrence = scheduler.run_now("nps")
    await started.wait()
    await asyncio.sleep(0.01)
    drained = await scheduler.drain(0)
    go_on.set()
    expected = ((), (occurrence,)) if in_job else ((occurrence,), ())
    assert (drained.cancelled, drained.still_running) == expected


class LookedUpLedger(MemoryLedger):
    """A ledger that looks up its server's name before each statement, as a new connection does."""

    async def claim(self, request: ClaimRequest) -> Claim:
        """Claim, once the name is known."""
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 5432)
        return await super().claim(request)

    async def renew(self, claim: Claim) -> bool:
        """Renew, once the name is known."""
        await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 5432)
        return await super().renew(claim)


def test_threads_of_jobs_keep_no_lease_from_being_renewed() -> None:
    """In virtual time: more of them for an hour than the loop has threads, beside a healthy run."""
    ledger = LookedUpLedger()

    async def crawl() -> None:
        await asyncio.sleep(600)

    async def parse() -> None:
        await asyncio.to_thread(time.sleep, 3600)

    def register(scheduler: KSTScheduler) -> None:
        for number in range(2 * DEFAULT_THREADS):
            scheduler.add_job(parse, cron(hour=2, minute=59), id=f"parse-{number}")
        scheduler.add_job(once(ledger)(crawl), at(kst(2026, 5, 10, 3)), id="crawl")

    simulate(register, kst(2026, 5, 10, 2, 58), kst(2026, 5, 10, 3, 30))
    rows = asyncio.run(ledger.rows())
    assert [(row.status, row.error, row.duration_ms) for row in rows] == [("ok", None, 600_000)]


@in_loop
async def test_look_ups_have_threads_of_their_own_in_a_reader_s_pool_too() -> None:
    """Its only thread is blocked, by a job or by anything else."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    watch_threads(loop)
    go_on = threading.Event()
    blocked = await begun(go_on.wait)
    looking = asyncio.ensure_future(loop.getaddrinfo("127.0.0.1", 80))
    naming = asyncio.ensure_future(loop.getnameinfo(("127.0.0.1", 80)))
    await asyncio.gather(looking, naming)
    assert not blocked.done()
    go_on.set()
    await blocked


def test_the_threads_of_look_ups_end_with_the_loop() -> None:
    """None is left behind."""

    async def look_up() -> None:
        loop = asyncio.get_running_loop()
        watch_threads(loop)
        await loop.getaddrinfo("127.0.0.1", 80)

    before = set(threading.enumerate())
    asyncio.run(look_up())
    assert set(threading.enumerate()) <= before
