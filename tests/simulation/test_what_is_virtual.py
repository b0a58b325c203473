"""SIMULATION.md row by row: what is virtual, and what is not."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import multiprocessing
import os
import random
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from time import sleep as under_another_name
from typing import TYPE_CHECKING, Any

import aiosqlite
import counting_service
import numpy as np
import pandas as pd
import pytest
import tzlocal

from kst_scheduler import KST, Node, cron, kst, simulate
from kst_scheduler.errors import SimulationBlockedError
from kst_scheduler.simulation import watchdog
from kst_scheduler.simulation.clock import current_world

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

DUE = kst(2026, 5, 10, 3)
DOCUMENT = (Path(__file__).parents[2] / "SIMULATION.md").read_text(encoding="utf-8")
SLEEP_SHORT, SLEEP_LONG = (
    [sys.executable, "-c", f"import time; time.sleep({seconds})"] for seconds in (0.2, 3600)
)
ROWS: dict[str, Callable[[], None]] = {}


def row(words: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Let a function be the test of a row."""

    def decorate(function: Callable[[], None]) -> Callable[[], None]:
        ROWS[words] = function
        return function

    return decorate


def test_every_row_has_a_test() -> None:
    """And no test is of a row that is not there."""
    rows = re.findall(r"^\| (?!what |---)(.*?) \|", DOCUMENT, re.MULTILINE)
    assert rows == list(ROWS)


def run(job: Any, **options: Any) -> None:
    """Run a job at 03:00 and let its error be the test's."""
    errors: list[BaseException] = []

    def note(*arguments: Any) -> None:
        try:
            job(*arguments)
        except BaseException as error:
            errors.append(error)
            raise

    async def note_coroutine(*arguments: Any) -> None:
        try:
            await job(*arguments)
        except BaseException as error:
            errors.append(error)
            raise

    def register(scheduler: AsyncIOScheduler) -> None:
        noted = note_coroutine if inspect.iscoroutinefunction(job) else note
        scheduler.add_job(noted, cron(hour=3, minute=0), id="job")

    simulate(register, DUE, DUE + timedelta(hours=1), **options)
    if errors:
        raise errors[0]


def in_virtual_time(moment: datetime) -> bool:
    """Tell whether a moment is the simulated one."""
    return timedelta(0) <= moment - DUE < timedelta(milliseconds=1)


@row("`datetime.now`, `time.time`, `time.ctime`")
def _wall_clock() -> None:
    def job() -> None:
        ahead = timedelta(seconds=60)
        assert in_virtual_time(datetime.now(KST) - ahead)
        assert in_virtual_time(datetime.fromtimestamp(time.time(), KST) - ahead)
        assert time.ctime() == "Sat May  9 18:01:00 2026"

    run(job, nodes=[Node("A", clock_offset=60)])


@row("`pandas.Timestamp.now`")
def _pandas() -> None:
    run(lambda: None)

    def job() -> None:
        assert in_virtual_time(pd.Timestamp.now(KST).to_pydatetime())

    run(job)


@row("`time.monotonic`, `time.perf_counter`, `loop.time`")
def _monotonic_clock() -> None:
    async def job() -> None:
        await asyncio.sleep(600)
        clocks = time.monotonic(), time.perf_counter(), asyncio.get_running_loop().time()
        assert clocks == pytest.approx((600, 600, 600), abs=0.001)

    run(job)


@row("`time.sleep`, `asyncio.sleep`, timeouts")
def _waiting() -> None:
    def job() -> None:
        time.sleep(600)

    async def coroutine() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await asyncio.sleep(3000)

    began = time.process_time()
    run(job)
    run(coroutine)
    assert time.process_time() - began < 5


@row("`from time import sleep`")
def _other_names() -> None:
    def job() -> None:
        began = time.monotonic()
        under_another_name(60)
        assert time.monotonic() - began == pytest.approx(60, abs=0.001)

    run(job)


@row("naive times, `time.localtime`, `tzlocal`")
def _zone_of_host() -> None:
    def job() -> None:
        assert datetime.now().hour == time.localtime().tm_hour == 18  # noqa: DTZ005 - naive
        assert str(tzlocal.get_localzone()) == "UTC"

    run(job)


@row("threads, timers, thread pools, `asyncio.to_thread`")
def _threads() -> None:
    async def job() -> None:
        began = time.monotonic()
        at_work: list[int] = []

        def work() -> None:
            at_work.append(len(at_work))
            time.sleep(60)

        thread, timer = threading.Thread(target=work), threading.Timer(60, work)
        thread.start()
        timer.start()
        with ThreadPoolExecutor(2) as pool:
            pool.submit(work)
            await asyncio.gather(*[asyncio.to_thread(work) for _ in range(2)])
        timer.join()
        assert time.monotonic() - began == pytest.approx(120, abs=0.01)
        assert at_work == [0, 1, 2, 3, 4]

    run(job)


@row(
    "`Lock`, `RLock`, `Condition`, `Semaphore`, `Event`, `Barrier`, `Queue`, `Future`",
)
def _primitives() -> None:
    def job() -> None:
        lock, began = threading.Lock(), time.monotonic()
        lock.acquire()
        assert not lock.acquire(timeout=60)
        assert not threading.Event().wait(60)
        with pytest.raises(concurrent.futures.TimeoutError):
            concurrent.futures.Future[int]().result(60)
        assert time.monotonic() - began == pytest.approx(180, abs=0.01)

    run(job)


@row("`threading.local`, `threading.get_ident`, context variables")
def _identity() -> None:
    variable = contextvars.ContextVar("variable", default=0)

    def job() -> None:
        local = threading.local()
        local.value = variable.set(1)

        def look() -> tuple[int, int, bool]:
            return threading.get_ident(), variable.get(), hasattr(local, "value")

        with ThreadPoolExecutor(1) as pool:
            ident, value, has = pool.submit(look).result()
        assert ident != threading.get_ident()
        assert (value, has) == (0, False)

    run(job)


@row("`asyncio.run` in a thread")
def _own_loop() -> None:
    def job() -> None:
        asyncio.run(asyncio.sleep(60))
        assert time.monotonic() == pytest.approx(60, abs=0.01)

    run(job)


@row("SQLite through aiosqlite")
def _sqlite() -> None:
    async def job() -> None:
        began = time.monotonic()
        async with aiosqlite.connect(":memory:") as database:
            await database.execute("select 1")
        assert time.monotonic() == began

    run(job)


@row("`random`, the ids that APScheduler generates")
def _random() -> None:
    seen = []

    def register(scheduler: AsyncIOScheduler) -> None:
        seen.append((random.random(), scheduler.add_job(print, cron(hour=3)).id))  # noqa: S311

    for _ in range(2):
        simulate(register, DUE, DUE + timedelta(minutes=1))
    assert seen[0] == seen[1]


@row("the order of tasks in sets, `asyncio.as_completed`")
def _order() -> None:
    orders = []

    async def name(number: int) -> int:
        return number

    async def job() -> None:
        tasks = {asyncio.create_task(name(number)) for number in range(9)}
        orders.append([await each for each in tasks])

    for number in range(4):
        kept = [bytearray(1_000 * (number + 1)) for _ in range(50)]
        run(job)
        del kept
    assert orders[1:] == orders[:1] * 3


@row("the module of `register`")
def _module() -> None:
    runs = simulate(counting_service.register, DUE, DUE + timedelta(minutes=3), nodes=2).runs
    assert list(runs["status"]) == ["ok"] * 6  # it counts its runs, and fails at the fourth
    assert counting_service.COUNT == []


@row('`numpy.datetime64("now")`, clocks that C code reads')
def _numpy() -> None:
    def job() -> None:
        assert np.datetime64("now").astype(datetime) != datetime(2026, 5, 9, 18)  # noqa: DTZ001

    run(job)


@row("`time.process_time`, `time.thread_time`")
def _cpu_time() -> None:
    def job() -> None:
        began, spent = time.monotonic(), time.process_time()
        while time.process_time() == spent:
            sum(range(1_000))
        assert time.monotonic() == began

    run(job)


@row("a function that was stored before `simulate`, as `def job(sleep=time.sleep)`")
def _stored() -> None:
    def job(sleep: Callable[[float], None] = time.sleep) -> None:
        began = time.monotonic()
        sleep(0.01)
        assert time.monotonic() == began

    run(job)


@row("a method of a lock that was stored before `simulate`, as `acquire = lock.acquire`")
def _older_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    acquire = lock.acquire
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watchdog, "INTERVAL", 0.02)
        with pytest.raises(SimulationBlockedError, match=r"test_what_is_virtual\.py:\d+"):
            run(lambda: acquire())  # noqa: PLW0108 - a line of this file


@row("threads that were started before `simulate`")
def _older_thread() -> None:
    asked, answered, seen = threading.Event(), threading.Event(), []

    def look() -> None:
        asked.wait()
        seen.append(datetime.now(KST).year)
        answered.set()

    year = datetime.now(KST).year
    thread = threading.Thread(target=look)
    thread.start()

    def job() -> None:
        asked.set()

    run(job)
    thread.join()
    assert seen[0] in {year, year + 1}


@row("processes, `subprocess`")
def _processes() -> None:
    def job() -> None:
        began = time.monotonic()
        code = "import datetime; print(datetime.datetime.now().year > 2000)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)  # noqa: S603
        assert done.stdout.strip() == b"True"
        assert time.monotonic() == began
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(SLEEP_LONG, capture_output=True, check=True, timeout=0.2)  # noqa: S603
        # Ends in good time on any machine: with the simulated clock it took all of the timeout.
        subprocess.run(SLEEP_SHORT, check=True, timeout=3600)  # noqa: S603
        with subprocess.Popen(SLEEP_SHORT) as process:  # noqa: S603
            assert process.wait(timeout=3600) == 0
        child = multiprocessing.get_context("spawn").Process(
            target=select.select, args=([], [], [], 3600)
        )
        child.start()
        child.join(timeout=0.1)
        assert child.is_alive()
        child.kill()
        child.join()
        assert time.monotonic() == began
        if hasattr(os, "fork"):
            with warnings.catch_warnings():  # of the threads of the test runner
                warnings.simplefilter("ignore", DeprecationWarning)
                forked = os.fork()
            if forked == 0:
                os._exit(0 if current_world() is None else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0
        with ProcessPoolExecutor() as pool, pytest.raises(Exception, match="process pool"):
            pool.submit(print)

    run(job)


@row("sockets")
def _sockets() -> None:
    async def job() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"is anybody there?\n")
            assert await reader.readline() == b"is anybody there?\n"
            writer.close()

    run(job)


@row("files and databases")
def _files() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "runs")

        def job() -> None:
            with path.open("a", encoding="utf-8") as file:
                file.write("ran\n")

        run(job, nodes=2)
        assert path.read_text(encoding="utf-8") == "ran\nran\n"


@row("the memory of a closure, a lambda or a notebook")
def _closure() -> None:
    seen: list[int] = []

    def job() -> None:
        seen.append(len(seen))

    run(job, nodes=2)
    assert seen == [0, 1]


@row("your own calls of `uuid.uuid4`, `secrets`, `os.urandom`, the order of a set of strings")
def _unforeseeable() -> None:
    seen = []

    def job() -> None:
        seen.append(uuid.uuid4())

    run(job)
    run(job)
    assert seen[0] != seen[1]


@pytest.mark.parametrize("words", list(ROWS))
def test_row(words: str) -> None:
    """What a row says is so."""
    ROWS[words]()
