"""Other processes have the real clock, and so has whatever waits for them, for a time or not."""

from __future__ import annotations

import asyncio
import copy
import multiprocessing
import multiprocessing.pool
import pickle
import queue
import threading
import time
import warnings
from datetime import timedelta
from multiprocessing.connection import wait as wait_for_connections
from typing import TYPE_CHECKING, Any

import pytest

from kst_scheduler import SimulationError, cron, kst, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

DUE = kst(2026, 5, 10, 3)
START_METHODS = sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods()))
LONG, SHORT = 3600, 0.05


def run(job: Callable[[], object]) -> Any:
    """Return what a job returns that runs once, and see that no virtual time passes in it."""
    returned = []

    def once() -> None:
        began = time.monotonic()
        returned.append(job())
        assert time.monotonic() == began

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(once, cron(hour=3, minute=0), id="once")

    with warnings.catch_warnings():  # of a fork beside the threads of the test runner
        warnings.simplefilter("ignore", DeprecationWarning)
        runs = simulate(register, DUE, DUE + timedelta(hours=1)).runs
    assert runs["status"].item() == "ok", runs["detail"].item()
    return returned[0]


def test_a_timeout_ends_a_wait_in_which_nothing_comes() -> None:
    """Each of them measures it itself, by ``time.monotonic``."""
    context = multiprocessing.get_context("spawn")

    def job() -> None:
        reader, _writer = context.Pipe()
        assert not reader.poll(SHORT)
        assert wait_for_connections([reader], SHORT) == []
        with pytest.raises(queue.Empty):
            context.Queue().get(timeout=SHORT)
        full = context.Queue(1)
        full.put(1)
        with pytest.raises(queue.Full):
            full.put(2, timeout=SHORT)
        condition = context.Condition()
        with condition:
            assert not condition.wait(SHORT)
            assert not condition.wait_for(lambda: False, SHORT)
        assert not context.Event().wait(SHORT)
        with pytest.raises(threading.BrokenBarrierError):
            context.Barrier(2).wait(SHORT)
        assert not context.Semaphore(0).acquire(timeout=SHORT)

    run(job)


@pytest.mark.parametrize("method", START_METHODS)
def test_a_long_timeout_does_not_pass_while_a_process_works(method: Any) -> None:
    """What it sends comes before, however long it takes to start."""
    context = multiprocessing.get_context(method)

    def job() -> tuple[Any, bool, bool]:
        answers: Any = context.Queue()
        done = context.Event()
        reader, writer = context.Pipe()
        processes = [
            context.Process(target=answers.put, args=(1,)),
            context.Process(target=done.set),
            context.Process(target=writer.send, args=(2,)),
        ]
        for process in processes:
            process.start()
        seen = answers.get(timeout=LONG), done.wait(LONG), reader.poll(LONG)
        for process in processes:
            process.join()
        return seen

    assert run(job) == (1, True, True)


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_what_is_put_comes_out_in_the_same_process(kind: str) -> None:
    """Its feeder is a real thread, which runs while the simulated one waits."""
    context = multiprocessing.get_context("spawn")

    def job() -> Any:
        work = getattr(context, kind)()
        work.put("a")
        answer = work.get(timeout=LONG)
        if kind == "JoinableQueue":
            work.task_done()
            work.join()
        work.close()
        work.join_thread()
        return answer

    assert run(job) == "a"


@pytest.mark.parametrize("make", [multiprocessing.Pool, multiprocessing.pool.ThreadPool])
def test_a_pool_of_multiprocessing_is_refused(make: Any) -> None:
    """Its own threads would wait for real ones; one that was made before is refused, too."""

    def job(pool: Callable[[], Any]) -> None:
        with pytest.raises(SimulationError, match="process pool"):
            pool().map(abs, [-1])

    run(lambda: job(lambda: make(1)))
    with make(1) as before:
        run(lambda: job(lambda: before))
        assert before.map(abs, [-1]) == [1]


def test_a_function_of_the_clock_is_handed_to_another_process() -> None:
    """It is the real one there; a copy in this process is itself."""
    context = multiprocessing.get_context("spawn")

    def job() -> int | None:
        functions = [time.sleep, threading.Lock, wait_for_connections, asyncio.new_event_loop]
        assert copy.deepcopy(functions) == functions
        assert len(pickle.loads(pickle.dumps(functions))) == len(functions)  # noqa: S301 - its own
        process = context.Process(target=time.sleep, args=(SHORT,))
        process.start()
        process.join()
        return process.exitcode

    assert run(job) == 0


def test_a_manager_answers() -> None:
    """It is a process of its own, which has the real clock."""

    def job() -> dict[str, int]:
        with multiprocessing.get_context("spawn").Manager() as manager:
            shared = manager.dict(a=1)
            with pytest.raises(queue.Empty):
                manager.Queue().get(timeout=SHORT)
            return dict(shared)

    assert run(job) == {"a": 1}
