"""SIMULATION.md row by row: what is virtual, and what is not."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import email.utils
import inspect
import logging
import multiprocessing
import os
import queue
import random
import re
import select
import selectors
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import asctime as asctime_of_another_name
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
    began: list[bool] = []

    def note(*arguments: Any) -> None:
        began.append(True)
        try:
            job(*arguments)
        except BaseException as error:
            errors.append(error)
            raise

    async def note_coroutine(*arguments: Any) -> None:
        began.append(True)
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
    assert began


def in_virtual_time(moment: datetime) -> bool:
    """Tell whether a moment is the simulated one."""
    return timedelta(0) <= moment - DUE < timedelta(milliseconds=1)


@row("`datetime.now`, `date.today`, `time.time`, `time.asctime`, `time.ctime`")
def _wall_clock() -> None:
    def job() -> None:
        assert time.monotonic() == 60
        assert in_virtual_time(datetime.now(KST))
        assert in_virtual_time(datetime.fromtimestamp(time.time(), KST))
        assert in_virtual_time(datetime.fromtimestamp(time.time_ns() / 1e9, KST))
        assert date.today() == datetime.today().date() == date(2026, 5, 9)  # noqa: DTZ002, DTZ011
        words = "Sat May  9 18:00:00 2026"
        assert time.ctime() == time.ctime(None) == time.strftime("%a %b %e %H:%M:%S %Y") == words
        assert time.asctime() == asctime_of_another_name() == words
        assert time.asctime(time.gmtime()) == time.asctime(time.localtime(None)) == words
        assert time.asctime(time.gmtime(0)) == "Thu Jan  1 00:00:00 1970"
        with pytest.raises(TypeError):
            time.asctime(None)  # type: ignore[arg-type]

    run(job, nodes=[Node("A", clock_offset=-60)])


@row("`time.clock_gettime(time.CLOCK_REALTIME)`")
def _wall_clock_by_number() -> None:
    def job() -> None:
        for name in ("CLOCK_REALTIME", "CLOCK_TAI"):
            if hasattr(time, name):
                clock = getattr(time, name)
                assert time.clock_gettime(clock) == time.time()
                assert time.clock_gettime_ns(clock) == time.time_ns()

    run(job)


@row('`pandas.Timestamp.now`, `pandas.to_datetime("now")`')
def _pandas() -> None:
    def job() -> None:
        assert in_virtual_time(pd.Timestamp.now(KST).to_pydatetime())
        utc = pd.Timestamp.now("UTC")
        assert pd.to_datetime("now", utc=True) == utc
        naive = utc.tz_localize(None)
        assert pd.Timestamp("now") == pd.Timestamp("today") == pd.Timestamp.today() == naive

    run(job)


@row("`email.utils.formatdate`, the times in `logging` records and in `uuid.uuid1`")
def _times_in_other_things() -> None:
    def job() -> None:
        assert email.utils.formatdate() == "Sat, 09 May 2026 18:00:00 -0000"
        assert in_virtual_time(email.utils.localtime())
        record = logging.makeLogRecord({})
        assert in_virtual_time(datetime.fromtimestamp(record.created, KST))
        since_1582 = timedelta(microseconds=uuid.uuid1().time // 10)
        assert in_virtual_time(datetime(1582, 10, 15, tzinfo=UTC) + since_1582)

    run(job)


@row(
    "`time.monotonic`, `time.perf_counter`, `loop.time`, `time.clock_gettime(time.CLOCK_MONOTONIC)`"
)
def _monotonic_clock() -> None:
    numbers = [
        getattr(time, f"CLOCK_{name}")
        for name in ("MONOTONIC", "MONOTONIC_RAW", "BOOTTIME", "UPTIME_RAW")
        if hasattr(time, f"CLOCK_{name}")
    ]

    async def job() -> None:
        await asyncio.sleep(600)
        clocks = [time.monotonic(), time.perf_counter(), asyncio.get_running_loop().time()]
        clocks += map(time.clock_gettime, numbers)
        clocks += (time.clock_gettime_ns(number) / 1e9 for number in numbers)
        assert clocks == pytest.approx([600] * len(clocks), abs=0.001)

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


@row("SQLite, also through aiosqlite")
def _sqlite() -> None:
    async def job() -> None:
        began = time.monotonic()
        async with aiosqlite.connect(":memory:") as database:
            asked = await database.execute("select unixepoch('now')")
            assert await asked.fetchone() == (int(time.time()),)
        assert time.monotonic() == began
        with tempfile.TemporaryDirectory() as folder:
            async with aiosqlite.connect(f"{folder}/1.db") as one:
                await one.execute("create table rows (row)")
                await one.execute("begin immediate")
                async with aiosqlite.connect(f"{folder}/1.db", timeout=2) as other:
                    with pytest.raises(sqlite3.OperationalError, match="locked"):
                        await other.execute("begin immediate")
        assert time.monotonic() - began == pytest.approx(2, abs=0.1)

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


@row("`time.process_time`, `time.thread_time`, `os.times`")
def _cpu_time() -> None:
    def spent() -> list[float]:
        times = [time.process_time(), time.thread_time(), os.times().user + os.times().system]
        clocks = ("CLOCK_PROCESS_CPUTIME_ID", "CLOCK_THREAD_CPUTIME_ID")
        times += (time.clock_gettime(getattr(time, each)) for each in clocks if hasattr(time, each))
        return times

    def job() -> None:
        began, before = time.monotonic(), spent()
        while not all(now > then for now, then in zip(spent(), before, strict=True)):
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


@row("processes, `subprocess`, `multiprocessing`")
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
        with pytest.raises(queue.Empty):
            multiprocessing.get_context("spawn").Queue().get(timeout=0.01)

    run(job)


@row("sockets, `select`, `selectors`")
def _sockets() -> None:
    async def job() -> None:
        one, other = socket.socketpair()
        with one, other, selectors.DefaultSelector() as selector:
            began = time.monotonic()
            one.settimeout(0.01)
            with pytest.raises(TimeoutError):
                one.recv(1)
            selector.register(one, selectors.EVENT_READ)
            assert select.select([one], [], [], 0.01) == ([], [], [])
            assert selector.select(0.01) == []
            assert time.monotonic() == began

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
            assert os.path.getmtime(path) >= before  # noqa: PTH204 - the function of the row

        before = int(time.time())
        run(job, nodes=2)
        assert path.read_text(encoding="utf-8") == "ran\nran\n"


@row("the memory of a closure, a lambda or a notebook")
def _closure() -> None:
    seen: list[int] = []

    def job() -> None:
        seen.append(len(seen))

    run(job, nodes=2)
    assert seen == [0, 1]


@row(
    "your own calls of `uuid.uuid4`, `secrets`, `os.urandom`, `random.Random()`, "
    "the order of a set of strings"
)
def _unforeseeable() -> None:
    seen = []

    def job() -> None:
        seen.append((uuid.uuid4(), random.Random().random()))  # noqa: S311

    run(job)
    run(job)
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]


@pytest.mark.parametrize("words", list(ROWS))
def test_row(words: str) -> None:
    """What a row says is so."""
    ROWS[words]()
