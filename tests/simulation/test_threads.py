"""Threads of simulated jobs: what Python's own primitives do to them, in virtual time."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import queue
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler import KST, SimulationError, cron, kst, simulate
from kst_scheduler.simulation import watchdog, world

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

START, END = kst(2026, 5, 10, 3), kst(2026, 5, 10, 4)


def run(*jobs: Callable[[], object], nodes: int = 1) -> list[tuple[str, str]]:
    """Run each job once at 03:00; return job, status, start and end as minutes and seconds."""

    def register(scheduler: AsyncIOScheduler) -> None:
        for job in jobs:
            scheduler.add_job(job, cron(hour=3, minute=0), id=getattr(job, "__name__", "job"))

    runs = simulate(register, START, END, nodes=nodes).runs
    for each in runs.itertuples():
        assert each.status in {"ok", "running"}, each.detail
    ends = runs["finished_at"].dt.strftime("%M:%S").fillna("never")
    return list(zip(runs["job_id"], ends, strict=True))


def minute() -> str:
    """Return minute and second of the simulated clock."""
    return f"{datetime.now(KST):%M:%S}"


def together(make: Callable[[], Any]) -> list[tuple[str, str]]:
    """Run two jobs that hold the same thing for a minute each."""
    held: list[Any] = []

    def hold() -> None:
        with held[0]:
            time.sleep(60)

    def first() -> None:
        held.append(make())
        hold()

    def second() -> None:
        time.sleep(1)
        hold()

    return run(first, second)


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore"])
def test_what_excludes_real_threads_excludes_simulated_ones(kind: str) -> None:
    """One after the other, as in the real library."""

    def make() -> Any:
        return getattr(threading, kind)()

    assert together(make) == [("first", "01:00"), ("second", "02:00")]


def test_an_rlock_is_its_holders_own() -> None:
    """Its thread may take it again; another thread may not give it back."""
    said: list[str] = []

    def job() -> None:
        lock = threading.RLock()
        with lock, lock, ThreadPoolExecutor() as pool:
            try:
                pool.submit(lock.release).result()
            except RuntimeError as error:
                said.append(str(error))
            said.append(str(pool.submit(lock.acquire, timeout=5).result()))
        assert lock.acquire(blocking=False)
        lock.release()

    assert run(job) == [("job", "00:05")]
    assert said == ["cannot release un-acquired lock", "False"]


def test_a_timeout_is_in_virtual_time() -> None:
    """Of a lock, an event, a queue and a future; each raises or returns what it does for real."""
    said: list[Any] = []

    def job() -> None:
        lock = threading.Lock()
        lock.acquire()
        said.append(lock.acquire(timeout=60))
        said.append(threading.Event().wait(60))
        with pytest.raises(queue.Empty):
            queue.Queue[int]().get(timeout=60)
        with pytest.raises(queue.Empty):
            queue.SimpleQueue[int]().get(timeout=60)
        with pytest.raises(concurrent.futures.TimeoutError):
            concurrent.futures.Future[int]().result(60)
        with pytest.raises(threading.BrokenBarrierError):
            threading.Barrier(2).wait(60)

    assert run(job) == [("job", "06:00")]
    assert said == [False, False]


def test_a_thread_that_waits_is_woken() -> None:
    """By an event, a queue, a condition, a barrier, and by wait and as_completed."""
    said: list[Any] = []

    def job() -> None:
        event, waiting, simple = threading.Event(), queue.Queue[str](1), queue.SimpleQueue[str]()
        barrier = threading.Barrier(3)

        def give() -> str:
            time.sleep(60)
            event.set()
            time.sleep(60)
            waiting.put("queue")
            waiting.put("full")
            simple.put("simple")
            barrier.wait()
            return "gave"

        def take() -> str:
            event.wait()
            said.append(f"event {minute()}")
            said.append(f"{waiting.get()} {minute()}")
            time.sleep(30)
            said.append(f"{waiting.get()} {minute()}")
            said.append(simple.get())
            barrier.wait()
            return "took"

        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(give), pool.submit(take)]
            barrier.wait()
            said.append(sorted(each.result() for each in concurrent.futures.as_completed(futures)))
            done, _ = concurrent.futures.wait([pool.submit(time.sleep, 30)])
            said.append(len(done))

    assert run(job) == [("job", "03:00")]
    assert said == [
        "event 01:00",
        "queue 02:00",
        "full 02:30",
        "simple",
        ["gave", "took"],
        1,
    ]


def test_a_pool_is_left_when_its_work_is_done() -> None:
    """``with ThreadPoolExecutor()`` waits; its initializer runs once a thread."""
    said: list[Any] = []

    def job() -> None:
        with ThreadPoolExecutor(2, "crawl", said.append, ("begun",)) as pool:
            for _ in range(4):
                pool.submit(time.sleep, 60)
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(time.sleep, 60)

    def shut() -> None:
        pool = ThreadPoolExecutor(1)
        futures = [pool.submit(time.sleep, 60) for _ in range(3)]
        time.sleep(1)
        pool.shutdown(wait=True, cancel_futures=True)
        said.append([each.cancelled() for each in futures])

    assert run(job) == [("job", "02:00")]
    assert run(shut) == [("shut", "01:00")]
    assert said == ["begun", "begun", [False, True, True]]


def test_each_thread_has_an_identity_of_its_own() -> None:
    """get_ident, current_thread, threading.local and the context, as of real threads."""
    variable = contextvars.ContextVar("variable", default="nothing")
    said: list[Any] = []
    local: Any = None

    def look() -> tuple[Any, ...]:
        seen = getattr(local, "value", "nothing"), variable.get()
        local.value = "of a thread"
        variable.set("of a thread")
        time.sleep(1)
        return (*seen, threading.current_thread().name, threading.get_ident())

    async def job() -> None:
        nonlocal local

        class Local(threading.local):
            pass

        local = Local()
        local.value = "of the loop"
        variable.set("of the job")
        with ThreadPoolExecutor(2, "crawl") as pool:
            futures = [pool.submit(look) for _ in range(2)]
            done = [each.result() for each in futures]
            again = pool.submit(look).result()
        said.extend([done, again[0], local.value, threading.current_thread().name])
        idents = {each[3] for each in done} | {threading.get_ident(), again[3]}
        said.append(len(idents))
        said.append((await asyncio.to_thread(look))[1])

    run(job)
    (first, second), again, of_the_loop, name, threads, context = said
    assert first[:3] == ("nothing", "nothing", "crawl_0")
    assert second[:3] == ("nothing", "nothing", "crawl_1")
    assert again == "of a thread"  # a pool's thread is used again
    assert (of_the_loop, name, threads) == ("of the loop", "MainThread", 3)
    assert context == "of the job"  # asyncio.to_thread hands it over


def test_a_thread_of_its_own_lives_in_virtual_time() -> None:
    """Started, joined and asked as any thread; a timer fires when it is due."""
    said: list[Any] = []

    def job() -> None:
        thread = threading.Thread(target=time.sleep, args=(60,), name="own")
        timer = threading.Timer(90, lambda: said.append(minute()))
        thread.start()
        timer.start()
        thread.join(10)
        said.append((thread.is_alive(), thread.name, thread.ident != threading.get_ident()))
        thread.join()
        said.append((thread.is_alive(), minute()))
        timer.join()
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()

    assert run(job) == [("job", "01:30")]
    assert said == [(True, "own", True), (False, "01:00"), "01:30"]


def test_an_error_in_a_thread_of_its_own_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By threading.excepthook, as for a real thread; the job goes on."""
    said: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: said.append(repr(args.exc_value)))

    def job() -> None:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()

    assert run(job) == [("job", "00:00")]
    assert said == ["ZeroDivisionError('division by zero')"]


def test_asyncio_run_in_a_thread_while_others_work() -> None:
    """A loop of a thread's own goes on after each wait, whatever ran meanwhile."""

    async def nap() -> None:
        for _ in range(60):
            await asyncio.sleep(1)
            assert asyncio.current_task() is not None

    def first() -> None:
        asyncio.run(nap())

    def second() -> None:
        time.sleep(0.5)
        asyncio.run(nap())

    async def third() -> None:
        for _ in range(100):
            await asyncio.sleep(0.3)

    assert run(first, second, third) == [
        ("first", "01:00"),
        ("second", "01:00"),
        ("third", "00:30"),
    ]


async def _nap() -> None:
    await asyncio.sleep(60)


def test_a_thread_has_the_event_loop_that_it_set_and_no_other() -> None:
    """The older way to run a coroutine in a thread; that thread's loop is no other's."""

    def first() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(asyncio.gather(_nap(), _nap()))
        assert asyncio.get_event_loop() is loop
        loop.close()

    def second() -> None:
        time.sleep(30)
        with pytest.raises(RuntimeError, match="no current event loop in thread"):
            asyncio.get_event_loop()

    def third() -> None:
        nap = _nap()
        with pytest.raises(RuntimeError, match="no current event loop in thread"):
            asyncio.gather(nap)
        nap.close()

    async def in_a_notebook() -> None:
        simulated = run(first, second, third)
        assert simulated == [("first", "01:00"), ("second", "00:30"), ("third", "00:00")]
        assert asyncio.get_event_loop() is asyncio.get_running_loop()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(in_a_notebook())


def test_a_deadlock_is_a_run_that_never_ends() -> None:
    """As in real life: two threads that wait for each other do so to the end."""

    def job() -> None:
        one, other = threading.Lock(), threading.Lock()

        def cross() -> None:
            with other:
                time.sleep(1)
                one.acquire()

        with one, ThreadPoolExecutor() as pool:
            pool.submit(cross)
            time.sleep(2)
            other.acquire()

    assert run(job) == [("job", "never")]


def test_what_blocks_the_simulation_itself_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that was made before the simulation is the operating system's, and blocks for ever."""
    monkeypatch.setattr(watchdog, "INTERVAL", 0.02)
    acquire = threading.Lock().acquire

    def first() -> None:
        acquire()
        time.sleep(60)

    def second() -> None:
        time.sleep(1)
        acquire()  # here

    with pytest.raises(SimulationError, match=r"test_threads\.py:\d+, acquire\(\)  # here"):
        run(first, second)


def test_a_loop_without_a_pause_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits for a flag that only another job could set."""
    monkeypatch.setattr(watchdog, "INTERVAL", 0.02)
    monkeypatch.setattr(watchdog, "MAX_CPU_SECONDS", 0.2)

    def job() -> None:
        flags: list[int] = []
        while not flags:
            pass

    with pytest.raises(SimulationError, match=r"test_threads\.py:\d+.*CPU time"):
        run(job)


def _alarm() -> tuple[Any, tuple[float, float]]:
    return signal.getsignal(signal.SIGVTALRM), signal.getitimer(signal.ITIMER_VIRTUAL)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_a_regular_expression_that_backtracks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds Python's lock, so that no other thread can look."""
    monkeypatch.setattr(watchdog, "INTERVAL", 0.02)
    monkeypatch.setattr(watchdog, "MAX_CPU_SECONDS", 0.2)

    def job() -> None:
        re.match("(a+)+$", "a" * 27 + "b")

    before = _alarm()
    with pytest.raises(SimulationError, match=r"test_threads\.py:\d+, re\.match.*CPU time"):
        run(job)
    assert _alarm() == before


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_a_timer_of_the_caller_stays_the_callers() -> None:
    """And so does what it does with the signal."""
    before = signal.signal(signal.SIGVTALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_VIRTUAL, 3600)
    try:
        handler, _ = _alarm()
        run(lambda: None)
        assert _alarm()[0] is handler
        assert 3000 < _alarm()[1][0] <= 3600 + 1 / os.sysconf("SC_CLK_TCK")  # Linux adds a tick
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("read", [lambda: datetime.now(KST), lambda: time.monotonic() or 1])
def test_a_loop_that_only_reads_the_clock_is_named(
    read: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time passes in it."""
    monkeypatch.setattr(world, "MAX_READS", 30_000)

    def job() -> None:
        while read():
            pass

    with pytest.raises(SimulationError, match="read the clock 30,000 times at 2026-05-09T18:00"):
        run(job)


def test_two_nodes_share_no_thread() -> None:
    """Each node's pool has threads of its own."""

    def job() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(time.sleep, 60).result()

    assert run(job, nodes=3) == [("job", "01:00")] * 3


def test_sqlite_by_aiosqlite_takes_no_time() -> None:
    """Its thread is one of the simulation's, so no time passes while it works."""
    import aiosqlite

    said: list[Any] = []

    async def job() -> None:
        begun = datetime.now(KST)
        async with aiosqlite.connect(":memory:") as database:
            for _ in range(10):
                async with database.execute("select 1") as cursor:
                    said.append(await cursor.fetchone())
        said.append(datetime.now(KST) - begun)

    assert run(job) == [("job", "00:00")]
    assert said == [(1,)] * 10 + [timedelta(0)]


def test_threads_of_anyio_take_no_time() -> None:
    """Its worker threads are the simulation's, and are used again."""
    import anyio

    said: list[Any] = []

    async def job() -> None:
        said.extend([await anyio.to_thread.run_sync(threading.get_ident) for _ in range(3)])
        await anyio.to_thread.run_sync(time.sleep, 60)
        with anyio.move_on_after(60):
            await anyio.sleep(600)

    assert run(job) == [("job", "02:00")]
    assert len(set(said)) == 1
    assert said[0] != threading.get_ident()


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Condition", "Semaphore"])
def test_a_lock_of_before_excludes_as_well(kind: str) -> None:
    """Where the jobs reach it: in a closure, an object or a list; afterwards it is itself again."""

    class Service:
        def __init__(self) -> None:
            self.lock = getattr(threading, kind)()

        def crawl(self) -> None:
            with self.lock:
                time.sleep(60)

        def report(self) -> None:
            time.sleep(1)
            self.crawl()

    service = Service()
    before = service.lock
    assert run(service.crawl, service.report) == [("crawl", "01:00"), ("report", "02:00")]
    assert service.lock is before
    made = getattr(threading, kind)()
    assert together(lambda: made) == [("first", "01:00"), ("second", "02:00")]


class _Slotted:
    shared = threading.Lock()
    __slots__ = ("own",)

    def __init__(self) -> None:
        self.own = threading.Lock()


_SLOTTED = _Slotted()


def _default(lock: Any = threading.Lock()) -> Any:  # noqa: B008 - what is looked for
    return lock


@pytest.mark.parametrize("find", [lambda: _Slotted.shared, lambda: _SLOTTED.own, _default])
def test_a_lock_of_a_class_of_slots_or_a_default_excludes_as_well(find: Any) -> None:
    """Wherever a name leads to it; afterwards it is itself again."""
    before = find()
    assert together(find) == [("first", "01:00"), ("second", "02:00")]
    assert find() is before


def test_a_thread_local_of_before_is_each_threads_own() -> None:
    """What the main thread keeps in it, the node's loop sees, and its threads do not."""
    local = threading.local()
    local.value = 1
    said: list[Any] = []

    def look() -> Any:
        seen = getattr(local, "value", None)
        local.value = 2
        return seen

    async def job() -> None:
        said.append(local.value)
        with ThreadPoolExecutor(1) as pool:
            said.extend([pool.submit(look).result(), pool.submit(look).result()])
        said.append(local.value)

    run(job)
    assert said == [1, None, 2, 1]
    assert local.value == 1
