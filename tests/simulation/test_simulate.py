from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import tzlocal
from apscheduler.executors.pool import ProcessPoolExecutor
from apscheduler.executors.pool import ThreadPoolExecutor as ThreadPool
from apscheduler.jobstores.base import ConflictingIdError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from lessons import MORNING, NIGHT, hourly, hours, nothing, plain_scheduler, surroundings

from kst_scheduler.errors import (
    InvalidArgumentError,
    LockedOutError,
    NaiveDatetimeError,
    SimulationError,
    SimulationStuckError,
    TimezoneError,
)
from kst_scheduler.runs.table import duplicates
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import (
    ClockJump,
    Crash,
    Freeze,
    Incident,
    Node,
    SimulationInterrupted,
    current_node,
    simulate,
)
from kst_scheduler.simulation.world import LATE
from kst_scheduler.timezone import in_milliseconds, kst

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def test_fires_from_start_inclusive_to_end_exclusive() -> None:
    """A fire at the start of the span is included, one at its end is not."""
    runs = simulate(hourly, NIGHT, MORNING).runs
    assert hours(runs, "ok") == [0, 1, 2, 3, 4, 5]
    assert len(runs) == 6


def test_the_order_of_the_code_is_known() -> None:
    """Also where register starts the scheduler, whose job store orders jobs by their time."""

    def register(scheduler: Any) -> None:
        scheduler.start()
        for hour, job_id in ((5, "b"), (4, "c"), (3, "a")):
            scheduler.add_job(nothing, CronTrigger(hour=hour, timezone="Asia/Seoul"), id=job_id)

    result = simulate(register, NIGHT, MORNING, [Node("z"), Node("y")])
    assert result.nodes == ("z", "y")
    assert result.jobs == ("b", "c", "a")


def test_empty_span() -> None:
    """An empty span gives an empty table of the right shape."""
    result = simulate(hourly, NIGHT, NIGHT)
    assert result.runs.empty
    assert str(result.runs["scheduled_at"].dtype) == "datetime64[us, Asia/Seoul]"


def test_costs_no_real_time() -> None:
    """Six virtual hours pass in less than a real second."""
    began = time.perf_counter()
    simulate(hourly, NIGHT, MORNING)
    assert time.perf_counter() - began < 1


def test_lesson_fires_at_noon_on_a_utc_host() -> None:
    """The lesson's trigger takes the host's zone: 03:00 UTC is noon in Seoul."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(nothing, CronTrigger(hour=3, minute=0), id="daily")

    def fired(zone: str) -> list[int]:
        day = (NIGHT, NIGHT + timedelta(days=1))
        result = simulate(register, *day, scheduler=plain_scheduler, host_timezone=zone)
        return hours(result.runs, "ok")

    assert fired("UTC") == [12]
    assert fired("Asia/Seoul") == [3]
    assert fired("America/New_York") == [16]


def test_host_zone_has_one_answer_everywhere() -> None:
    """Naive now, localtime and APScheduler agree on the host's zone inside a job."""
    seen: list[Any] = []

    def register(scheduler: Any) -> None:
        def look() -> None:
            seen.append((datetime.now().hour, time.localtime().tm_hour, time.strftime("%Z")))  # noqa: DTZ005

        scheduler.add_job(look, "cron", hour=3)
        seen.append(str(CronTrigger().timezone))

    simulate(register, NIGHT, MORNING, host_timezone="America/New_York")
    assert seen == ["America/New_York", (14, 14, "EDT")]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Soul"])
def test_what_is_remembered_of_the_real_host_is_put_back(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TZ, and what tzlocal knows; also where the simulated zone is refused."""
    before = os.environ.get("TZ"), time.tzname, tzlocal.get_localzone()
    with contextlib.suppress(TimezoneError):
        simulate(hourly, NIGHT, MORNING, host_timezone=zone)
    assert (os.environ.get("TZ"), time.tzname) == before[:2]
    assert tzlocal.get_localzone() is before[2]
    # It may be an object of its own (workbook/exercises/host_zone.py), and is so after this test.
    monkeypatch.setattr(sys.modules[tzlocal.get_localzone.__module__], "_cache_tz", before[2])
    assert str(tzlocal.reload_localzone()) == str(before[2])


def test_unknown_host_zone() -> None:
    """An unknown zone is named."""
    with pytest.raises(TimezoneError, match="unknown time zone 'Asia/Soul'"):
        simulate(hourly, NIGHT, MORNING, host_timezone="Asia/Soul")


def test_clocks_agree_inside_a_job() -> None:
    """datetime, time, monotonic and the loop's clock advance together."""
    seen = []

    def register(scheduler: Any) -> None:
        async def look() -> None:
            for _ in range(2):
                loop = asyncio.get_running_loop()
                seen.append(
                    (datetime.now(tz=NIGHT.tzinfo), time.time(), time.monotonic(), loop.time())
                )
                await asyncio.sleep(90)

        scheduler.add_job(look, "cron", hour=3)

    simulate(register, NIGHT, MORNING)
    first, second = seen
    woken = kst(2026, 5, 10, 3, microsecond=LATE)
    assert first == (woken, woken.timestamp(), 10800, 10800)
    assert second == (woken + timedelta(seconds=90), first[1] + 90, 10890, 10890)


def test_two_nodes_run_every_occurrence_twice() -> None:
    """Nothing in APScheduler keeps two replicas from running the same occurrence."""
    runs = simulate(hourly, NIGHT, MORNING, nodes=2).runs
    assert len(runs) == 12
    assert list(duplicates(runs)["runs"]) == [2] * 6


def test_current_node_names_the_node() -> None:
    """A job can ask on which node it runs, a sync job too."""
    seen = []

    def register(scheduler: Any) -> None:
        async def look() -> None:
            seen.append(current_node())

        def look_in_thread() -> None:
            seen.append(current_node() + " thread")

        scheduler.add_job(look, "cron", hour=3)
        scheduler.add_job(look_in_thread, "cron", hour=4)

    simulate(register, NIGHT, MORNING, nodes=[Node("tokyo"), Node("seoul")])
    assert sorted(seen) == ["seoul", "seoul thread", "tokyo", "tokyo thread"]
    with pytest.raises(SimulationError, match="only inside a simulated job"):
        current_node()


def test_freeze_loses_what_is_too_late() -> None:
    """A frozen node finds a backlog: coalesced into the last, which is beyond its grace time."""
    freeze = Freeze("B", kst(2026, 5, 10, 1, 30), timedelta(hours=2, minutes=40))
    result = simulate(
        hourly, NIGHT, MORNING, nodes=2, incidents=[freeze], scheduler=plain_scheduler
    )
    frozen = result.runs[result.runs["node"] == "B"]
    assert hours(frozen, "ok") == [0, 1, 5]
    assert hours(frozen, "coalesced") == [2, 3]
    assert hours(frozen, "missed") == [4]
    assert frozen.loc[frozen["status"] == "missed", "detail"].item() == (
        "0:10:00 late, grace time 1 s"
    )
    assert hours(result.runs[result.runs["node"] == "A"], "ok") == [0, 1, 2, 3, 4, 5]


def test_freeze_to_the_end_has_rows_too() -> None:
    """What falls due on a node that is still frozen at the end is missed."""
    freeze = Freeze("A", kst(2026, 5, 10, 3, 30), timedelta(days=1))
    runs = simulate(hourly, NIGHT, MORNING, incidents=[freeze]).runs
    assert hours(runs, "missed") == [4, 5]
    assert set(runs.loc[runs["status"] == "missed", "detail"]) == {"the node was frozen to the end"}


def test_crash_cuts_runs_and_loses_what_falls_due() -> None:
    """A crash cuts the run in progress; what falls due until the restart is missed."""
    finally_ran = []

    def register(scheduler: Any) -> None:
        async def work() -> None:
            try:
                await asyncio.sleep(1800)
            finally:
                finally_ran.append(datetime.now(tz=NIGHT.tzinfo))

        scheduler.add_job(work, "cron", minute=0, id="hourly")

    crash = Crash("A", kst(2026, 5, 10, 1, 10), timedelta(hours=2))
    runs = simulate(register, NIGHT, MORNING, incidents=[crash]).runs
    assert hours(runs, "ok") == [0, 4, 5]
    assert hours(runs, "missed") == [2, 3]
    cut = runs[runs["status"] == "cancelled"]
    assert list(cut["finished_at"]) == [pd.Timestamp(crash.at)]
    assert list(cut["detail"]) == ["the node crashed"]
    assert kst(2026, 5, 10, 1, 10) not in finally_ran  # kill -9 runs no finally block


def test_crashes_that_touch_have_rows_for_the_whole_time() -> None:
    """The second comes before the restart, so no process is there that could miss anything."""
    at, hour = kst(2026, 5, 10, 0, 30), timedelta(hours=1)
    crashes = [Crash("A", at, hour), Crash("A", at + hour, hour), Crash("A", at + 2 * hour, hour)]
    result = simulate(hourly, NIGHT, MORNING, incidents=[*crashes[::-1], Crash("B", at)], nodes=2)
    runs = result.runs[result.runs["node"] == "A"]
    assert hours(runs, "ok") == [0, 4, 5]
    assert hours(runs, "missed") == [1, 2, 3]
    assert len(result.incidents) == 4


def test_crash_for_good() -> None:
    """Without a restart everything after the crash is missed."""
    runs = simulate(hourly, NIGHT, MORNING, incidents=[Crash("A", kst(2026, 5, 10, 2, 30))]).runs
    assert hours(runs, "ok") == [0, 1, 2]
    assert hours(runs, "missed") == [3, 4, 5]
    assert set(runs["detail"]) == {"", "the node was down"}


def test_crash_at_the_very_start() -> None:
    """A crash at the start leaves a table with a row for each due occurrence all the same."""
    runs = simulate(hourly, NIGHT, MORNING, incidents=[Crash("A", NIGHT)]).runs
    assert list(runs["scheduled_at"].dt.hour) == [0, 1, 2, 3, 4, 5]


class Surviving(MemoryJobStore):  # type: ignore[misc] # the library is untyped
    """Stands for a database: its jobs outlive the process, and go to the next scheduler."""

    def start(self, scheduler: Any, alias: str) -> None:
        """Hand the jobs to the scheduler that starts."""
        super().start(scheduler, alias)
        for job in self.get_all_jobs():
            job._scheduler = scheduler


def test_persistent_store_brings_back_what_fell_due() -> None:
    """With a job store that outlives the process, what fell due while down has one row, not two."""
    store = Surviving()

    def scheduler() -> Any:
        return plain_scheduler(jobstores={"default": store})

    def register(scheduler: Any) -> None:
        if not store.get_all_jobs():
            scheduler.add_job(nothing, "cron", minute=0, id="hourly", misfire_grace_time=3600)

    crash = Crash("A", kst(2026, 5, 10, 1, 10), timedelta(hours=2))
    runs = simulate(register, NIGHT, MORNING, incidents=[crash], scheduler=scheduler).runs
    assert list(runs["scheduled_at"].dt.hour) == [0, 1, 2, 3, 4, 5]
    assert hours(runs, "coalesced") == [2]
    assert runs.loc[runs["scheduled_at"].dt.hour == 3, "started_at"].item() == crash.end


def test_clock_offset_moves_a_node() -> None:
    """A node whose clock is two minutes fast starts everything two true minutes early."""
    runs = simulate(hourly, NIGHT, MORNING, nodes=[Node("A"), Node("B", clock_offset=120)]).runs
    early = runs[(runs["node"] == "B") & (runs["scheduled_at"].dt.hour == 3)]
    assert early["started_at"].item() == kst(2026, 5, 10, 2, 58)


def plain_in_grace() -> Any:
    """Return the lesson's scheduler, with the grace time of a KSTScheduler."""
    return plain_scheduler(job_defaults={"misfire_grace_time": 300})


def test_clock_jump_is_not_felt_by_timers() -> None:
    """A jump forward makes a job due, but its timer follows the monotonic clock and rings later.

    A KSTScheduler does not rely on one timer (tests/scheduler/test_wall_clock.py).
    """
    jump = ClockJump("A", kst(2026, 5, 10, 2, 30), 240)
    result = simulate(hourly, NIGHT, MORNING, incidents=[jump], scheduler=plain_in_grace)
    started = list(result.runs["started_at"])
    # The timer for 03:00 was set before the jump: it rings on true time, four minutes late by the
    # node's clock. The next one is set by the new clock.
    assert started[3] == kst(2026, 5, 10, 3)
    assert started[4] == kst(2026, 5, 10, 3, 56)
    assert list(result.incidents["detail"]) == ["clock +240 s"]


def test_clock_jump_beyond_the_grace_time_loses_the_run() -> None:
    """By the node's clock the run is ten minutes late, and too late for its grace time."""
    jump = ClockJump("A", kst(2026, 5, 10, 2, 30), 600)
    runs = simulate(hourly, NIGHT, MORNING, incidents=[jump], scheduler=plain_in_grace).runs
    assert hours(runs, "missed") == [3]


def test_blocked_loop_delays_only_its_own_node() -> None:
    """time.sleep in an async job blocks the loop of its node, and of no other."""

    def register(scheduler: Any) -> None:
        async def block() -> None:
            if current_node() == "A":
                time.sleep(120)  # noqa: ASYNC251 - the fault to be shown

        scheduler.add_job(block, "cron", hour=3, minute=0, id="block")
        scheduler.add_job(nothing, "cron", hour=3, minute=1, id="after", misfire_grace_time=300)

    runs = simulate(register, NIGHT, MORNING, nodes=2).runs
    after = runs[runs["job_id"] == "after"].set_index("node")["started_at"]
    assert after["A"] == kst(2026, 5, 10, 3, 2)
    assert after["B"] == kst(2026, 5, 10, 3, 1)


def test_loop_blocked_to_the_end() -> None:
    """What falls due while the loop is blocked up to the end has rows, and says why."""

    def register(scheduler: Any) -> None:
        async def block() -> None:
            time.sleep(86_400)  # noqa: ASYNC251 - the fault to be shown

        scheduler.add_job(block, "cron", hour=3, minute=0, id="block")
        scheduler.add_job(nothing, "cron", hour=4, id="after", minute=0)

    runs = simulate(register, NIGHT, MORNING).runs
    assert list(runs["status"]) == ["running", "missed"]
    assert runs["detail"].iloc[1] == "the event loop was blocked to the end"


class Unwritable(MemoryJobStore):  # type: ignore[misc] # the library is untyped
    """Stands for a database that goes away between a scheduler's reading and its writing."""

    def update_job(self, job: Any) -> None:
        """Fail."""
        raise ConnectionError(f"the database went away before {job.id} was written")


def test_a_scheduler_whose_look_raises_never_looks_again() -> None:
    """APScheduler 3.11.3 sets no timer after it; the loop goes on, and the rows say so."""
    raised: list[str] = []

    def register(scheduler: Any) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, what: raised.append(repr(what["exception"])))
        scheduler.add_job(nothing, "cron", minute=0, id="hourly")
        scheduler.add_job(nothing, "cron", minute=30, id="beat", jobstore="memory")

    def scheduler() -> Any:
        return plain_scheduler(jobstores={"default": Unwritable(), "memory": MemoryJobStore()})

    runs = simulate(register, kst(2026, 5, 10, 0, 15), MORNING, scheduler=scheduler).runs
    assert raised == ["ConnectionError('the database went away before hourly was written')"]
    beat = runs[runs["job_id"] == "beat"]
    assert list(beat["status"]) == ["ok", *["missed"] * 5]
    assert set(beat["detail"].iloc[1:]) == {"the scheduler had stopped looking for due jobs"}


def test_sync_jobs_sleep_without_blocking_the_loop() -> None:
    """A sync job that sleeps for 90 s runs beside an async one, and both take virtual time."""

    def register(scheduler: Any) -> None:
        def in_thread() -> None:
            time.sleep(90)

        async def in_loop() -> None:
            await asyncio.sleep(30)

        scheduler.add_job(in_thread, "cron", hour=3, id="thread", minute=0)
        scheduler.add_job(in_loop, "cron", hour=3, id="loop", minute=0)

    runs = simulate(register, NIGHT, MORNING).runs.set_index("job_id")
    assert runs.loc["thread", "finished_at"] == kst(2026, 5, 10, 3, 1, 30)
    assert runs.loc["loop", "finished_at"] == kst(2026, 5, 10, 3, 0, 30)


def test_thread_pool_has_its_size() -> None:
    """12 jobs of 1.5 s on 10 threads: two wait for a thread, and their start is too late."""

    def register(scheduler: Any) -> None:
        for index in range(12):
            scheduler.add_job(
                time.sleep, "cron", args=[1.5], hour=3, minute=0, id=f"job-{index:02}"
            )

    runs = simulate(
        register,
        NIGHT,
        MORNING,
        scheduler=lambda: plain_scheduler(executors={"default": ThreadPool(10)}),
    ).runs
    assert list(runs["status"].value_counts()[["ok", "missed"]]) == [10, 2]
    assert set(runs.loc[runs["status"] == "missed", "detail"]) == {
        "0:00:01.500000 late, grace time 1 s"
    }


def test_process_pool_is_refused() -> None:
    """A process pool would run in real time: the run is an error that says so."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(time.sleep, "cron", args=[1], hour=3)

    def scheduler() -> Any:
        return plain_scheduler(executors={"default": ProcessPoolExecutor(1)})

    log = simulate(register, NIGHT, MORNING, scheduler=scheduler).log
    assert log["message"].str.contains("Error submitting job").any()


def test_asyncio_run_in_a_sync_job() -> None:
    """A sync job may run an event loop of its own, in virtual time."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(lambda: asyncio.run(asyncio.sleep(60)), "cron", hour=3, id="run")

    runs = simulate(register, NIGHT, MORNING).runs
    assert runs["finished_at"].item() == kst(2026, 5, 10, 3, 1)


def test_thread_waits_for_a_coroutine_of_the_loop() -> None:
    """A sync job may hand a coroutine to the loop and wait for its result, or for a time-out."""
    seen = []

    def register(scheduler: Any) -> None:
        loop = asyncio.get_running_loop()

        def work() -> None:
            waiting = asyncio.run_coroutine_threadsafe(asyncio.sleep(90, "done"), loop)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=30)
            seen.append((in_milliseconds(datetime.now(tz=NIGHT.tzinfo)), waiting.result()))

        scheduler.add_job(work, "cron", hour=3, minute=0, id="work")

    runs = simulate(register, NIGHT, MORNING).runs
    assert list(runs["status"]) == ["ok"]
    assert seen == [(kst(2026, 5, 10, 3, 0, 30), "done")]
    assert runs["finished_at"].item() == kst(2026, 5, 10, 3, 1, 30)


def test_real_sockets_answer_at_their_own_speed() -> None:
    """Virtual time stands still while a real server on the loopback interface is asked."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(connection.recv(16).upper())

    thread = threading.Thread(target=serve)
    thread.start()

    def register(scheduler: Any) -> None:
        async def ask() -> None:
            reader, writer = await asyncio.open_connection(*server.getsockname())
            writer.write(b"hello")
            answers.append(await reader.read(16))
            writer.close()
            await writer.wait_closed()

        scheduler.add_job(ask, "cron", hour=3, minute=0, id="ask")

    answers: list[bytes] = []
    with server:
        runs = simulate(register, NIGHT, MORNING).runs
    thread.join()
    assert answers == [b"HELLO"]
    assert runs["finished_at"].item() == kst(2026, 5, 10, 3)


def test_max_instances_is_skipped() -> None:
    """A run that falls due while the previous one is at work is skipped."""

    def register(scheduler: Any) -> None:
        async def work() -> None:
            await asyncio.sleep(5400)

        scheduler.add_job(work, "cron", minute=0, id="long")

    runs = simulate(register, NIGHT, MORNING).runs
    assert hours(runs, "skipped") == [1, 3, 5]
    assert set(runs.loc[runs["status"] == "skipped", "detail"]) == {"max_instances=1 reached"}
    assert list(runs["status"].iloc[-2:]) == ["ok", "skipped"]


def test_errors_and_lock_outs_are_told_apart() -> None:
    """A job's exception is an error with its text; LockedOutError is locked_out."""

    def register(scheduler: Any) -> None:
        async def fail() -> None:
            raise ValueError("no such page")

        async def give_way() -> None:
            raise LockedOutError("B holds it")

        scheduler.add_job(fail, "cron", hour=3, minute=0, id="fail")
        scheduler.add_job(give_way, "cron", hour=4, minute=0, id="give-way")

    result = simulate(register, NIGHT, MORNING)
    assert list(result.runs["status"]) == ["error", "locked_out"]
    assert list(result.runs["detail"]) == ["ValueError('no such page')", "B holds it"]
    assert list(result.log["level"]) == ["ERROR"]


def test_running_at_the_end() -> None:
    """A run that has not ended is running, without an end."""

    def register(scheduler: Any) -> None:
        async def work() -> None:
            await asyncio.sleep(86_400)

        scheduler.add_job(work, "cron", hour=3, minute=0)

    runs = simulate(register, NIGHT, MORNING).runs
    assert list(runs["status"]) == ["running"]
    assert runs["finished_at"].isna().all()


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("grace", [1, 60, 7200, None])
def test_every_due_occurrence_has_exactly_one_row_a_node(
    *, coalesce: bool, grace: int | None
) -> None:
    """Whatever befalls the nodes, each hour has one row on each of them."""

    def register(scheduler: Any) -> None:
        async def work() -> None:
            await asyncio.sleep(4000)

        options = {"coalesce": coalesce, "misfire_grace_time": grace}
        scheduler.add_job(work, "cron", minute=0, id="long", **options)

    incidents: list[Incident] = [
        Freeze("A", kst(2026, 5, 10, 1, 59), timedelta(hours=3)),
        Freeze("A", kst(2026, 5, 10, 20, 59), timedelta(hours=30)),
        Crash("B", kst(2026, 5, 10, 4), timedelta(hours=2)),
        Crash("B", kst(2026, 5, 10, 22, 1)),
    ]
    end = NIGHT + timedelta(days=1)
    runs = simulate(register, NIGHT, end, nodes=3, incidents=incidents).runs
    counts = runs.groupby(["node", "scheduled_at"]).size()
    assert len(counts) == 72
    assert (counts == 1).all()


def test_equal_in_processes_with_different_hash_seeds() -> None:
    """The same arguments give the same table in any process, jitter and made-up ids included."""
    program = """
import asyncio, hashlib
from datetime import timedelta
from kst_scheduler import Crash, Freeze, kst, simulate
from apscheduler.schedulers.asyncio import AsyncIOScheduler
def register(scheduler):
    async def work():
        await asyncio.sleep(40)
    for index in range(7):
        scheduler.add_job(work, "cron", minute="*/7", jitter=60)
        scheduler.add_job(lambda: None, "interval", minutes=11, id=f"{index}")
start = kst(2026, 5, 10)
incidents = [Freeze("B", kst(2026, 5, 10, 2), timedelta(hours=1)), Crash("C", kst(2026, 5, 10, 3))]
runs = simulate(register, start, start + timedelta(hours=9), nodes=3, incidents=incidents,
                scheduler=AsyncIOScheduler).runs
print(len(runs), hashlib.sha256(runs.to_csv().encode()).hexdigest())
"""
    outputs = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(  # noqa: S603 - the program above
            [sys.executable, "-c", program], env=environment, capture_output=True, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert int(outputs.pop().split()[0]) > 1000


def test_leaves_the_process_as_it_was() -> None:
    """Clock, patches, loop, zone, signals, hooks and log levels are untouched afterwards."""
    before = surroundings()
    simulate(hourly, NIGHT, MORNING, nodes=2, host_timezone="America/New_York")
    assert surroundings() == before


def test_leaves_the_process_as_it_was_after_an_error() -> None:
    """The same holds when the reader's own code raises, and the error arrives as it was."""
    before = surroundings()

    def register(_scheduler: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        simulate(register, NIGHT, MORNING, nodes=2, host_timezone="America/New_York")
    assert surroundings() == before


def test_interrupt_ends_the_simulation_and_leaves_the_process_clean() -> None:
    """Ctrl-C in a job, whose exceptions APScheduler catches, still ends the simulation."""
    before = surroundings()

    def register(scheduler: Any) -> None:
        async def interrupted() -> None:
            os.kill(os.getpid(), signal.SIGINT)

        scheduler.add_job(interrupted, "cron", hour=3)

    with pytest.raises(SimulationInterrupted) as caught:
        simulate(register, NIGHT, MORNING, nodes=2)
    assert surroundings() == before
    assert caught.value.__context__ is None


def test_an_interrupted_simulation_holds_what_it_has_simulated() -> None:
    """Runs until the cut, of which some were in progress; the line says when, and how to see it."""

    def register(scheduler: Any) -> None:
        async def interrupted() -> None:
            await asyncio.sleep(60)
            os.kill(os.getpid(), signal.SIGINT)

        scheduler.add_job(asyncio.sleep, "cron", hour=1, args=[60], id="before")
        scheduler.add_job(asyncio.sleep, "cron", hour=2, args=[86_400], id="long")
        scheduler.add_job(interrupted, "cron", hour=3, id="interrupted")
        scheduler.add_job(asyncio.sleep, "cron", hour=4, args=[60], id="after")

    with pytest.raises(
        SimulationInterrupted, match="interrupted at 2026-05-10 03:01 KST"
    ) as caught:
        simulate(register, NIGHT, MORNING)
    result = caught.value.result
    assert result.runs[["job_id", "status", "detail"]].to_numpy().tolist() == [
        ["before", "ok", ""],
        ["long", "running", ""],
        ["interrupted", "running", ""],
    ]
    assert result.runs["finished_at"].notna().tolist() == [True, False, False]
    assert (result.start, result.end) == (NIGHT, MORNING)
    assert result.cut_at is not None
    assert timedelta(0) <= result.cut_at - kst(2026, 5, 10, 3, 1) < timedelta(seconds=1)
    assert simulate(hourly, NIGHT, MORNING).cut_at is None


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_an_interrupt_makes_nothing_missed(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What is due at that very moment would have come next; standard error stays empty."""

    async def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def interrupt_in_thread() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)

    def register(scheduler: Any) -> None:
        struck = interrupt if kind == "async" else interrupt_in_thread
        for number in range(5):
            scheduler.add_job(asyncio.sleep, "cron", args=[1], minute="*", id=f"before {number}")
        scheduler.add_job(struck, "cron", hour=3, id="interrupted")
        for number in range(5):
            scheduler.add_job(asyncio.sleep, "cron", args=[1], minute="*", id=f"later {number}")

    with pytest.raises(SimulationInterrupted) as caught:
        simulate(register, NIGHT, MORNING, nodes=2)
    runs = caught.value.result.runs
    assert set(runs["status"]) <= {"ok", "running"}
    assert not runs.duplicated(["node", "job_id", "scheduled_at"]).any()
    assert capfd.readouterr().err == ""


def test_interrupt_while_clocks_are_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before the first step is noted, and raised when everything is back in its place."""
    before = surroundings()
    started: list[Any] = []

    def interrupted(*_arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("kst_scheduler.simulation.host._check_c_library", interrupted)
    with pytest.raises(KeyboardInterrupt):
        simulate(started.append, NIGHT, MORNING)
    assert started == []
    assert surroundings() == before


def test_works_inside_a_running_loop() -> None:
    """A simulation runs inside a coroutine, as in a Jupyter cell, and gives the loop back."""

    async def cell() -> int:
        task = asyncio.current_task()
        count = len(simulate(hourly, NIGHT, MORNING).runs)
        await asyncio.sleep(0.001)
        assert asyncio.current_task() is task
        return count

    assert asyncio.run(cell()) == 6


def test_other_threads_keep_real_time() -> None:
    """While a simulation runs, another thread sees the real clock and really sleeps."""
    seen: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.append(time.time())
            time.sleep(0.001)

    now = time.time()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        simulate(hourly, kst(2031, 1, 1), kst(2031, 2, 1))
    finally:
        stop.set()
        thread.join()
    assert min(seen) >= now - 1
    assert max(seen) < now + 60


def test_two_threads_take_turns() -> None:
    """Two simulations started in two threads give the same tables as one after the other."""
    tables: list[pd.DataFrame] = []

    def run() -> None:
        tables.append(simulate(hourly, NIGHT, MORNING).runs)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = tables
    pd.testing.assert_frame_equal(first, second)


def test_no_simulation_within_a_simulation() -> None:
    """A job that starts a simulation gets a clear error."""

    def register(scheduler: Any) -> None:
        async def nested() -> None:
            simulate(hourly, NIGHT, MORNING)

        scheduler.add_job(nested, "cron", hour=3, minute=0)

    runs = simulate(register, NIGHT, MORNING).runs
    assert "cannot start a simulation of its own" in runs["detail"].item()


def test_a_job_that_never_lets_time_pass() -> None:
    """A busy loop on sleep(0) ends with an error that says what to write."""

    def register(scheduler: Any) -> None:
        async def spin() -> None:
            while True:  # noqa: ASYNC110 - the fault to be shown
                await asyncio.sleep(0)

        scheduler.add_job(spin, "cron", hour=3)

    with pytest.raises(
        SimulationStuckError, match=r"node A ran 100,000 steps.*asyncio.sleep\(0.1\)"
    ):
        simulate(register, NIGHT, MORNING)


def test_log_is_kept_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """APScheduler's warnings are in the result, with the node and the true time, not on stderr."""
    freeze = Freeze("A", kst(2026, 5, 10, 1, 30), timedelta(hours=1))
    log = simulate(hourly, NIGHT, MORNING, incidents=[freeze], scheduler=plain_scheduler).log
    assert list(log["time"]) == [pd.Timestamp(freeze.end)]
    assert list(log["node"]) == ["A"]
    assert "was missed by 0:30:00" in log["message"].item()
    assert capfd.readouterr() == ("", "")


def test_quiet_teardown(capfd: pytest.CaptureFixture[str]) -> None:
    """Jobs that still run at the end leave no noise on stderr, and no pending-task warning."""

    def register(scheduler: Any) -> None:
        async def work() -> None:
            try:
                await asyncio.sleep(86_400)
            finally:
                await asyncio.sleep(1)

        async def stubborn() -> None:
            for _ in range(100):
                with contextlib.suppress(BaseException):
                    await asyncio.sleep(86_400)

        scheduler.add_job(work, "cron", hour=3)
        scheduler.add_job(stubborn, "cron", hour=3)
        scheduler.add_job(time.sleep, "cron", args=[86_400], hour=3)

    simulate(register, NIGHT, MORNING, incidents=[Crash("A", kst(2026, 5, 10, 3, 30))])
    gc.collect()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("scheduler", [KSTScheduler, plain_scheduler])
@pytest.mark.parametrize("incidents", [[], [Crash("A", kst(2026, 5, 10, 5, 30))]], ids=len)
def test_no_run_begins_after_the_end(scheduler: Any, incidents: list[Incident]) -> None:
    """What has to wait for the run before it never starts, though that is torn down at the end."""
    begun: list[str] = []

    def register(scheduler: Any) -> None:
        async def work() -> None:
            begun.append("coroutine")
            await asyncio.sleep(86_400)

        def thread() -> None:
            begun.append("thread")
            time.sleep(86_400)

        options = {"coalesce": False, "misfire_grace_time": None, "max_instances": 3}
        for job in (work, thread):
            scheduler.add_job(job, "cron", hour="1-4", minute="*/10", **options)

    freeze = Freeze("A", kst(2026, 5, 10, 0, 30), timedelta(hours=4))
    runs = simulate(
        register, NIGHT, MORNING, incidents=[freeze, *incidents], scheduler=scheduler
    ).runs
    gc.collect()
    started = runs["started_at"].notna().sum()
    assert len(begun) == started
    assert started > 0


async def _clean_up(ran: list[str]) -> None:
    ran.append("clean up")
    await asyncio.sleep(0)
    ran.append("cleaned up")


TEARDOWNS: dict[str, Callable[[list[str]], Awaitable[object]]] = {
    "shield": lambda ran: asyncio.shield(_clean_up(ran)),
    "create_task": lambda ran: asyncio.create_task(_clean_up(ran)),
    "gather": lambda ran: asyncio.gather(_clean_up(ran), _clean_up(ran)),
    "wait_for": lambda ran: asyncio.wait_for(_clean_up(ran), 1),
    "get_event_loop": lambda ran: asyncio.get_event_loop().create_task(_clean_up(ran)),
    "to_thread": lambda ran: asyncio.to_thread(ran.append, "in a thread"),
    "call_soon": lambda ran: _soon(ran.append, "soon"),
}


async def _soon(call: Callable[..., object], *args: object) -> None:
    asyncio.get_event_loop().call_soon(call, *args)


@pytest.mark.parametrize("teardown", TEARDOWNS.values(), ids=TEARDOWNS)
@pytest.mark.parametrize("in_a_loop", [False, True], ids=["script", "notebook"])
def test_what_a_finally_schedules_at_the_end_goes_nowhere(
    teardown: Callable[[list[str]], Awaitable[object]],
    in_a_loop: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither to the loop of the notebook that runs the simulation, nor to one that nobody runs."""
    made: list[asyncio.AbstractEventLoop] = []
    monkeypatch.setattr(asyncio.SelectorEventLoop, "__init__", _noted(made))
    ran: list[str] = []

    def register(scheduler: Any) -> None:
        async def work() -> None:
            try:
                await asyncio.sleep(86_400)
            finally:
                await teardown(ran)

        scheduler.add_job(work, "cron", hour=3)

    async def in_a_notebook() -> None:
        simulate(register, NIGHT, MORNING, incidents=crash)
        await asyncio.sleep(0.01)

    crash = [Crash("A", kst(2026, 5, 10, 3, 30))]
    if in_a_loop:
        asyncio.run(in_a_notebook())
    else:
        simulate(register, NIGHT, MORNING, incidents=crash)
    assert not {"cleaned up", "in a thread", "soon"} & set(ran)
    assert all(loop.is_closed() for loop in made)


def _noted(made: list[asyncio.AbstractEventLoop]) -> Callable[..., None]:
    """Return an ``__init__`` of event loops that notes which are made."""
    make = asyncio.SelectorEventLoop.__init__

    def make_and_note(loop: asyncio.SelectorEventLoop, *args: Any) -> None:
        made.append(loop)
        make(loop, *args)

    return make_and_note


def test_grace_is_reported_for_the_pictures() -> None:
    """The result names each job's grace time."""

    def register(scheduler: Any) -> None:
        scheduler.add_job(nothing, "cron", hour=3, id="b", misfire_grace_time=None)
        scheduler.add_job(nothing, "cron", hour=3, id="a")

    assert simulate(register, NIGHT, MORNING).grace == {"a": timedelta(seconds=300), "b": None}


def test_register_that_starts_the_scheduler_itself() -> None:
    """Code that calls start() on its own, as the lesson's does, is run as it is."""

    def register(scheduler: Any) -> None:
        hourly(scheduler)
        scheduler.start()

    assert len(simulate(register, NIGHT, MORNING, scheduler=plain_scheduler).runs) == 6


def test_a_lifespan_that_starts_and_stops_the_scheduler() -> None:
    """A task made by register starts the scheduler itself, as a server does with a lifespan."""

    async def lifespan(scheduler: Any) -> None:
        scheduler.start()
        await asyncio.sleep(2.5 * 3600)
        scheduler.shutdown()

    def register(scheduler: Any) -> None:
        hourly(scheduler)
        tasks.append(asyncio.get_running_loop().create_task(lifespan(scheduler)))

    tasks: list[asyncio.Task[None]] = []
    runs = simulate(register, NIGHT, MORNING).runs
    assert tasks[0].done()
    assert tasks[0].exception() is None
    assert hours(runs, "ok") == [0, 1, 2]


def test_a_scheduler_that_cannot_start_fails_the_simulation() -> None:
    """What start() raises is raised by simulate."""

    def register(scheduler: Any) -> None:
        for _ in range(2):
            scheduler.add_job(nothing, "cron", hour=3, id="daily")

    with pytest.raises(ConflictingIdError, match="daily"):
        simulate(register, NIGHT, MORNING, scheduler=plain_scheduler)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"start": datetime(2026, 5, 10)}, NaiveDatetimeError, r"start=.*write kst\(2026, 5, 10\)"),  # noqa: DTZ001
        ({"end": datetime(2026, 5, 11)}, NaiveDatetimeError, r"end=.*write kst\(2026, 5, 11\)"),  # noqa: DTZ001
        ({"end": kst(2026, 5, 9)}, InvalidArgumentError, "lies before start=.*swap them"),
        ({"nodes": 0}, InvalidArgumentError, "nodes=0 is not from 1 to 26"),
        ({"nodes": []}, InvalidArgumentError, "nobody to run the jobs"),
        ({"nodes": [Node("A"), Node("A")]}, InvalidArgumentError, "same name: A, A"),
        (
            {"incidents": [Crash("C", NIGHT)]},
            InvalidArgumentError,
            "Crash names the unknown node 'C'; the nodes are A",
        ),
        (
            {"incidents": [Crash("A", datetime(2026, 5, 10, 3))]},  # noqa: DTZ001
            NaiveDatetimeError,
            r"Crash.at=.*write kst\(2026, 5, 10, 3\)",
        ),
        (
            {"incidents": [Crash("A", MORNING)]},
            InvalidArgumentError,
            "lies outside the simulated span",
        ),
        (
            {"incidents": [Freeze("A", NIGHT, timedelta(0))]},
            InvalidArgumentError,
            "lasts no time; give it a positive timedelta",
        ),
        (
            {
                "incidents": [
                    Freeze("A", NIGHT, timedelta(hours=2)),
                    Crash("A", NIGHT + timedelta(hours=1)),
                ]
            },
            InvalidArgumentError,
            "overlapping incidents on node A: Crash.* begins before Freeze.* is over",
        ),
        (
            {"incidents": ["freeze"]},
            InvalidArgumentError,
            "is not a Freeze, a Crash or a ClockJump",
        ),
        (
            {"scheduler": BackgroundScheduler},
            SimulationError,
            "returned BackgroundScheduler, and a simulation runs an AsyncIOScheduler",
        ),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """Each wrong argument is refused before anything runs, by a message that names it."""
    call = {"register": hourly, "start": NIGHT, "end": MORNING, **arguments}
    with pytest.raises(error, match=message):
        simulate(**call)


def test_async_register_is_refused() -> None:
    """An async register would never be awaited."""

    async def register(scheduler: Any) -> None:
        hourly(scheduler)

    with pytest.raises(SimulationError, match=r"write def register\(scheduler\)"):
        simulate(register, NIGHT, MORNING)


def test_this_package_logs_into_the_table_too(capfd: pytest.CaptureFixture[str]) -> None:
    """A warning of ours is a row with its node, and no line under a notebook's cell."""

    def register(scheduler: Any) -> None:
        logger = logging.getLogger("kst_scheduler.once.decorator")
        scheduler.add_job(lambda: logger.warning("lost"), "cron", hour=3, id="nps")

    log = simulate(register, NIGHT, MORNING).log
    assert log[["node", "level", "message"]].to_numpy().tolist() == [["A", "WARNING", "lost"]]
    assert capfd.readouterr().err == ""


def test_runs_that_a_shutdown_cancels_end_in_the_order_they_began() -> None:
    """Not in that of their addresses, which are others every time, and the log with them."""
    cancelled: list[int] = []

    class Run:
        def __init__(self, number: int) -> None:
            self.number = number

        def __hash__(self) -> int:
            return -self.number

        def done(self) -> bool:
            return False

        def cancel(self) -> None:
            cancelled.append(self.number)

    def register(scheduler: Any) -> None:
        scheduler.start()
        executor = scheduler._lookup_executor("default")
        for number in range(9):
            executor._pending_futures.add(Run(number))
        scheduler.shutdown()

    simulate(register, NIGHT, MORNING, scheduler=plain_scheduler)
    assert cancelled == list(range(9))
