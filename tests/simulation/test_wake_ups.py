"""A simulated host wakes a thread a moment late, as every real one does."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lessons import MORNING, NIGHT, hourly, plain_scheduler

from kst_scheduler.fire_times.instants import microseconds as instant
from kst_scheduler.runs.table import lateness
from kst_scheduler.scheduler.occurrence import current_occurrence
from kst_scheduler.simulation import Crash, Freeze, simulate
from kst_scheduler.simulation.work import WorkLog
from kst_scheduler.simulation.world import LATE, TICK, shown, wake_up
from kst_scheduler.timezone import KST, kst

THREE = kst(2026, 5, 10, 3)
LATER = timedelta(microseconds=LATE)
NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize("due", [0, 1, LATE - 1, LATE, LATE + 1, TICK - 1, 5 * TICK + 700])
def test_a_timer_wakes_at_the_first_tick_that_is_not_before(due: int) -> None:
    """It ticks a tenth of a millisecond after each whole one."""
    woken = wake_up(due)
    assert woken % TICK == LATE
    assert due <= woken < due + TICK
    assert wake_up(woken) == woken
    assert shown(woken) == woken - LATE


@given(
    microseconds=st.lists(st.integers(0, 3_600_000_000 - 1), max_size=50, unique=True),
    seed=st.none() | st.integers(0, 9),
)
@example(microseconds=[350_049, 350_050, 350_100, 350_101, 350_199, 351_000], seed=None)
@settings(max_examples=20)
def test_no_job_starts_before_it_is_due(microseconds: list[int], seed: int | None) -> None:
    """Neither by the clock that it reads nor in the tables: jitter is due at any microsecond."""
    dues = [THREE + timedelta(microseconds=each) for each in microseconds]
    read: list[tuple[datetime, datetime]] = []
    log = WorkLog()

    def job() -> None:
        read.append((current_occurrence().scheduled_at, datetime.now(KST)))
        log.note()

    def register(scheduler: Any) -> None:
        for due in dues:
            scheduler.add_job(job, "date", run_date=due)

    result = simulate(register, THREE, MORNING, seed=seed)
    assert sorted(due for due, _ in read) == sorted(dues)
    assert all(due <= now for due, now in read)
    for runs in (result.runs, log.with_work_starts(result).runs):
        assert (runs["scheduled_at"] <= runs["started_at"]).all()
        assert (runs["started_at"] <= runs["finished_at"]).all()
        at_ticks = {due for due in dues if shown(instant(due)) != instant(due)}
        by_due = zip(sorted(dues), runs["started_at"], strict=True)
        assert all(due <= started or due in at_ticks for due, started in by_due)


@given(offset=st.integers(0, 2 * TICK), seed=st.none() | st.integers(0, 9))
@settings(max_examples=30)
def test_nor_with_jitter(offset: int, seed: int | None) -> None:
    """Of one job after the other, from a start at any microsecond."""
    begin = THREE + timedelta(microseconds=offset)
    read: list[tuple[datetime, datetime]] = []

    def job() -> None:
        read.append((current_occurrence().scheduled_at, datetime.now(KST)))

    def register(scheduler: Any) -> None:
        scheduler.add_job(job, CronTrigger(second="*/7", jitter=3, timezone=KST))

    runs = simulate(register, begin, begin + timedelta(minutes=10), seed=seed).runs
    assert len(read) > 50
    assert all(due <= now for due, now in read)
    done = runs[runs["status"] == "ok"]
    assert (done["scheduled_at"] <= done["started_at"]).all()


def test_a_job_sees_that_its_time_has_gone_by() -> None:
    """``now <= due`` is a fault that an exact wake-up would hide."""
    seen: list[datetime] = []

    def register(scheduler: Any) -> None:
        scheduler.add_job(lambda: seen.append(datetime.now(KST)), "cron", hour=3, minute=0)

    runs = simulate(register, NIGHT, MORNING).runs
    assert seen == [THREE + LATER]
    assert runs["started_at"].item() == THREE  # as readable as ever


def test_sleeps_add_nothing_up() -> None:
    """The time after an hour of sleeps is that of one sleep, for threads and for coroutines."""
    seen: list[tuple[datetime, float]] = []

    async def slumber() -> None:
        began = time.monotonic()
        for _ in range(1800):
            await asyncio.sleep(1)
            time.sleep(1)  # noqa: ASYNC251 - the event loop as well
        seen.append((datetime.now(KST), time.monotonic() - began))

    def register(scheduler: Any) -> None:
        scheduler.add_job(slumber, "cron", hour=3, minute=0)

    simulate(register, NIGHT, MORNING)
    assert seen == [(kst(2026, 5, 10, 4) + LATER, 3600)]


def test_a_loop_that_sleeps_until_a_time_has_slept_enough() -> None:
    """It sleeps once: at the time it looks again, and it is past."""
    rounds: list[datetime] = []
    until = THREE + timedelta(seconds=30)

    async def wait() -> None:
        while (now := datetime.now(KST)) <= until:
            rounds.append(now)
            await asyncio.sleep((until - now).total_seconds())

    def register(scheduler: Any) -> None:
        scheduler.add_job(wait, "cron", hour=3, minute=0)

    simulate(register, NIGHT, MORNING)
    assert rounds == [THREE + LATER]


def test_two_names_of_one_moment_are_one_fire() -> None:
    """On 8 March 02:30 does not exist in New York and is 03:30, which the trigger names as well.

    A scheduler looks a moment later, as the real one does (3.11.3 on 8 March, clocks moved there:
    one run), and asks for what comes after that.
    """

    def register(scheduler: Any) -> None:
        trigger = CronTrigger(hour="2,3", minute=30, timezone=NEW_YORK)
        scheduler.add_job(asyncio.sleep, trigger, args=[0], id="job")

    begin = datetime(2026, 3, 8, tzinfo=NEW_YORK)
    span = begin, begin + timedelta(hours=12)
    runs = simulate(register, *span, scheduler=plain_scheduler).runs
    assert list(runs["scheduled_at"]) == [datetime(2026, 3, 8, 3, 30, tzinfo=NEW_YORK)]


def test_what_is_due_when_a_process_starts_again_has_its_row() -> None:
    """The process looks a moment later, when that is past: the node was down."""
    crash = Crash("A", kst(2026, 5, 10, 1, 30), timedelta(minutes=30))
    runs = simulate(hourly, NIGHT, MORNING, incidents=[crash]).runs
    assert list(runs["status"]) == ["ok", "ok", "missed", "ok", "ok", "ok"]
    assert runs["detail"][2] == "the node was down"


def test_a_crash_at_the_moment_of_a_restart_keeps_the_node_down() -> None:
    """One is over when the next begins, so it never comes up between them."""
    crashes = [
        Crash("A", kst(2026, 5, 10, 1, 30), timedelta(minutes=10)),
        Crash("A", kst(2026, 5, 10, 1, 40)),
    ]
    runs = simulate(hourly, NIGHT, MORNING, incidents=crashes).runs
    assert list(runs["status"]).count("ok") == 2


def test_tables_and_texts_show_whole_milliseconds() -> None:
    """Also for a run by hand, which is due when it is asked for."""

    def register(scheduler: Any) -> None:
        hourly(scheduler)
        asyncio.get_running_loop().call_later(
            600, lambda: scheduler.run_now(scheduler.get_jobs()[0].id)
        )

    freeze = Freeze("A", kst(2026, 5, 10, 1, 50), timedelta(minutes=30))
    result = simulate(register, NIGHT, MORNING, incidents=[freeze])
    for column in ("scheduled_at", "started_at", "finished_at"):
        assert (result.runs[column].dropna().dt.microsecond == 0).all()
    assert (result.log["time"].dt.microsecond == 0).all()
    assert not result.runs["detail"].str.contains("0001").any()
    assert not result.log["message"].str.contains("0001").any()
    assert lateness(result.runs).dropna().min() == timedelta(0)
    assert len(result.log) > 0
