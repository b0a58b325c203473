from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from in_loop import in_loop
from kst_scheduler.scheduler import wall_clock
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.scheduler.wall_clock import MAX_SLEEP
from kst_scheduler.simulation import ClockJump, Crash, Freeze, simulate
from kst_scheduler.simulation.world import World
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import at, cron, every

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from kst_scheduler.simulation import Incident

MIDNIGHT = kst(2026, 5, 10)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def crawl() -> None:
    """Do nothing, at once."""


def jump(hours: float, by: timedelta) -> ClockJump:
    """Return a jump of A's clock so many hours after midnight."""
    return ClockJump("A", MIDNIGHT + hours * HOUR, by.total_seconds())


def play(
    trigger: BaseTrigger,
    *incidents: Incident,
    days: float = 1,
    scheduler: Callable[[], AsyncIOScheduler] = KSTScheduler,
    **options: Any,
) -> pd.DataFrame:
    """Return the runs of one job from midnight on."""

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_job(crawl, trigger, id="crawl", **options)

    end = MIDNIGHT + days * DAY
    return simulate(register, MIDNIGHT, end, incidents=incidents, scheduler=scheduler).runs


def nights(runs: pd.DataFrame, status: str = "ok") -> list[int]:
    """Return the days of May on which the job was scheduled, of the rows with a status."""
    return list(runs.loc[runs["status"] == status, "scheduled_at"].dt.day)


def test_a_clock_set_forward_loses_no_job_that_is_yet_to_come() -> None:
    """Set forward an hour at 01:00, the clock shows 03:00 when it is two."""
    (run,) = play(cron(hour=3), jump(1, HOUR)).itertuples()
    assert (run.status, run.started_at) == ("ok", MIDNIGHT + 2 * HOUR)


def test_a_jump_is_noticed_within_a_minute() -> None:
    """The job comes due half a minute after the jump, before the scheduler looks again."""
    jumped = ClockJump("A", MIDNIGHT + timedelta(minutes=59, seconds=15), 2 * 3600 + 15)
    (run,) = play(cron(hour=3), jumped, days=0.2).itertuples()
    assert (run.status, run.started_at) == ("ok", MIDNIGHT + HOUR)


def test_what_the_clock_jumps_over_is_too_late_and_says_so() -> None:
    """From 02:30 to 04:30: by the clock of the node 03:00 is an hour and a half late."""
    (run,) = play(cron(hour=3), jump(2.5, 2 * HOUR)).itertuples()
    assert run.status == "missed"
    assert run.detail == (
        "1:31:00 late by the node's clock, which is 2:00:00 ahead, grace time 300 s"
    )


def test_a_plain_scheduler_notices_nothing_and_the_row_says_why() -> None:
    """Its timer rings at 03:00 true time, when the node's clock shows four."""
    plain = lambda: AsyncIOScheduler(timezone=KST)  # noqa: E731
    (run,) = play(cron(hour=3), jump(1, HOUR), scheduler=plain).itertuples()
    assert run.status == "missed"
    assert run.detail == "1:00:00 late by the node's clock, which is 1:00:00 ahead, grace time 1 s"


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("minutes", [0.5, 1, 10, 59.9])
def test_a_clock_that_was_ahead_for_a_while_costs_no_night(coalesce: bool, minutes: float) -> None:
    """30 days ahead at noon, and back: each of the nights that follow is run."""
    ahead = [jump(12, 30 * DAY), jump(12 + minutes / 60, -30 * DAY)]
    runs = play(cron(hour=3), *ahead, days=20, coalesce=coalesce)
    assert nights(runs) == list(range(10, 30))


def test_a_clock_that_was_ahead_from_the_start_costs_nothing_later() -> None:
    """The jobs were added by a clock that was 30 days ahead."""

    def register(scheduler: KSTScheduler) -> None:
        scheduler.add_job(crawl, cron(hour=3), id="crawl")

    runs = simulate(
        register,
        MIDNIGHT,
        MIDNIGHT + 5 * DAY,
        incidents=[
            jump(0.5, 30 * DAY),
            Crash("A", MIDNIGHT + HOUR, timedelta(minutes=1)),
            jump(1.2, -30 * DAY),
        ],
    ).runs
    ok = runs[runs["status"] == "ok"]
    assert list(ok["scheduled_at"].dt.day) == [10, 11, 12, 13, 14]


def test_a_clock_set_back_repeats_nothing() -> None:
    """Set back from 03:30 to 02:30, the clock shows 03:00 again, and the job has run."""
    runs = play(cron(hour=3), jump(3.5, -HOUR), days=2)
    assert nights(runs) == [10, 11]
    runs = play(every(minutes=10), jump(3.55, -HOUR), days=0.25)
    assert not runs.duplicated(["scheduled_at"]).any()
    assert len(runs) == 36 - 6


def test_a_clock_that_is_behind_for_a_while_runs_nothing_of_the_past() -> None:
    """30 days behind from 02:55 to 03:05: what it shows is the night of an April."""
    behind = [jump(2 + 55 / 60, -30 * DAY), jump(3 + 3 / 60, 30 * DAY)]
    runs = play(cron(hour=3), *behind, days=3)
    assert list(runs["scheduled_at"].dt.month) == [5, 5, 5]
    assert nights(runs) == [10, 11, 12]


def test_a_clock_that_stays_behind_is_trusted_after_a_while() -> None:
    """Ten days behind from noon on: from then on the nights of its own calendar are run."""
    runs = play(cron(hour=3), jump(12, -10 * DAY), days=3)
    by_start = runs.sort_values("started_at")
    assert list(by_start["scheduled_at"].dt.day) == [10, 1, 2]


def test_summer_time_is_no_clock_that_was_set() -> None:
    """The clocks on the walls of New York are, and the scheduler's is not."""

    def register(scheduler: KSTScheduler) -> None:
        scheduler.add_job(crawl, "cron", minute=0, id="crawl")

    start = datetime(2026, 10, 31, 12, tzinfo=ZoneInfo("America/New_York"))
    new_york = lambda: KSTScheduler(timezone="America/New_York")  # noqa: E731
    result = simulate(register, start, start + 2 * DAY, scheduler=new_york)
    assert len(result.runs) == 49
    assert result.log.empty


def test_a_run_that_was_too_late_may_still_come_in_time() -> None:
    """Missed by a clock that was ahead, and due once more when the clock is right."""
    runs = play(cron(hour=3), jump(1, 5 * HOUR), jump(1.5, -5 * HOUR))
    assert [str(each) for each in runs["status"]] == ["missed", "ok"]


def test_a_next_run_time_set_by_hand_stays() -> None:
    """Nobody but its owner knows what it is for."""

    def register(scheduler: KSTScheduler) -> None:
        first = MIDNIGHT + 40 * HOUR
        scheduler.add_job(crawl, cron(hour=3), id="crawl", next_run_time=first)

    incidents = [jump(1, 2 * HOUR), jump(1.5, -2 * HOUR)]
    runs = simulate(register, MIDNIGHT, MIDNIGHT + 2 * DAY, incidents=incidents).runs
    assert list(runs["scheduled_at"]) == [MIDNIGHT + 40 * HOUR]


def test_paused_and_one_shot_jobs_survive_a_clock_set_back() -> None:
    """A paused job stays paused, and a date is a date."""

    def register(scheduler: KSTScheduler) -> None:
        scheduler.add_job(crawl, cron(hour=3), id="paused")
        scheduler.add_job(crawl, at(MIDNIGHT + 5 * HOUR), id="once")
        loop = asyncio.get_running_loop()
        loop.call_later(60, scheduler.pause_job, "paused")

    runs = simulate(register, MIDNIGHT, MIDNIGHT + DAY, incidents=[jump(2, -HOUR)]).runs
    assert [(run.job_id, run.status) for run in runs.itertuples()] == [("once", "ok")]


def test_a_trigger_that_raises_keeps_no_other_job_from_its_clock() -> None:
    """The others are run by the clock that was set back."""

    class Broken(BaseTrigger):  # type: ignore[misc] # the library is untyped
        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
            if previous is None and now > MIDNIGHT:
                raise RuntimeError("broken")
            return None if previous else MIDNIGHT + 3 * DAY

    def register(scheduler: KSTScheduler) -> None:
        scheduler.add_job(crawl, Broken(), id="broken")
        scheduler.add_job(crawl, cron(hour=3), id="crawl")

    ahead = [jump(12, DAY), jump(12.2, -DAY)]
    result = simulate(register, MIDNIGHT, MIDNIGHT + 5 * DAY, incidents=ahead)
    assert nights(result.runs[result.runs["job_id"] == "crawl"]) == [10, 11, 12, 13, 14]
    assert result.log["message"].str.startswith("Job 'broken' keeps its next run time").any()


def test_a_frozen_node_is_no_clock_that_was_set() -> None:
    """Its clocks go on together, and what fell due meanwhile is late."""
    freeze = Freeze("A", MIDNIGHT + 2 * HOUR, timedelta(hours=1, minutes=2))
    result = play(cron(hour=3), freeze)
    assert list(result["started_at"]) == [MIDNIGHT + timedelta(hours=3, minutes=2)]


@in_loop
async def test_a_real_scheduler_sleeps_for_a_minute_at_most() -> None:
    """However far its next job is; and not at all longer than until that is due."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl, at(datetime.now(KST) + 9 * DAY), id="far")
    scheduler.start()
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    assert MAX_SLEEP - 5 < scheduler._timeout.when() - loop.time() <= MAX_SLEEP
    scheduler.add_job(crawl, at(datetime.now(KST) + timedelta(seconds=20)), id="near")
    await asyncio.sleep(0)
    assert scheduler._timeout.when() - loop.time() <= 20
    scheduler.shutdown()
    await asyncio.sleep(0)


def test_a_quiet_year_costs_no_wake_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated loop knows that its host's clock is not set."""
    steps = 0
    step = World.step

    def count(world: World) -> None:
        nonlocal steps
        steps += 1
        step(world)

    monkeypatch.setattr(World, "step", count)
    began = time.process_time()
    assert len(play(cron(month=12, day=31, hour=3), days=365)) == 1
    assert steps < 400  # asyncio waits for a day at most
    assert time.process_time() - began < 5


def test_a_scheduler_remembers_so_many_run_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more; the limit itself would take a job of each minute a week."""
    monkeypatch.setattr(wall_clock, "MAX_REMEMBERED", 100)
    kept: list[int] = []

    def register(scheduler: KSTScheduler) -> None:
        scheduler.add_job(crawl, cron(minute="*"), id="crawl")
        end = 2 * 3600 - 1
        asyncio.get_running_loop().call_later(end, lambda: kept.append(len(scheduler._run_times)))

    simulate(register, MIDNIGHT, MIDNIGHT + 2 * HOUR)
    assert kept == [100]
