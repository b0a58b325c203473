"""What the notebooks say of APScheduler 3.11, proved against the installed one.

A new release that changes one of these fails here by name, and the notebook that claims it is to be
rewritten. What needs days to pass is proved in simulations, by the notebooks themselves.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from concurrent.futures import ThreadPoolExecutor as Pool
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import apscheduler
import pytest
import pytz
from apscheduler.events import (
    EVENT_ALL,
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    EVENT_JOB_REMOVED,
    EVENT_JOB_SUBMITTED,
    SchedulerEvent,
)
from apscheduler.executors import base as executors_base
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import ConflictingIdError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import AndTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from in_loop import in_loop
from kst_scheduler.scheduler.kst_scheduler import JOB_DEFAULTS, KSTScheduler
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from collections.abc import Callable

LESSON_KST = pytz.timezone("Asia/Seoul")
NIGHT = kst(2026, 5, 10)
ENDED = EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED


@pytest.fixture
def utc_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let APScheduler find what it finds in an ordinary container: a host in UTC."""
    for module in ("triggers.cron", "triggers.date", "triggers.interval", "schedulers.base"):
        monkeypatch.setattr(f"apscheduler.{module}.get_localzone", lambda: ZoneInfo("UTC"))


async def crawl() -> None:
    """Stand for a job."""


def fires(trigger: BaseTrigger, count: int, start: datetime = NIGHT) -> list[datetime]:
    """Return the first fire times from ``start`` on."""
    found: list[datetime] = []
    fire = trigger.get_next_fire_time(None, start)
    while fire is not None and len(found) < count:
        found.append(fire)
        fire = trigger.get_next_fire_time(fire, fire)
    return found


def lesson_scheduler(**options: Any) -> tuple[AsyncIOScheduler, list[SchedulerEvent]]:
    """Return a scheduler as the lesson makes it, and the events that it will have dispatched."""
    scheduler, events = AsyncIOScheduler(timezone=LESSON_KST, **options), list[SchedulerEvent]()
    scheduler.add_listener(events.append, EVENT_ALL)
    return scheduler, events


async def wait_until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened that no event of asyncio tells."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - threads and schedulers have no event to await
            await asyncio.sleep(0.001)


async def until(events: list[SchedulerEvent], mask: int, count: int = 1) -> list[SchedulerEvent]:
    """Wait for a number of events of a kind, and return them."""
    await wait_until(lambda: sum(bool(event.code & mask) for event in events) >= count)
    return [event for event in events if event.code & mask]


# 01: install


def test_the_installed_release_is_3_11() -> None:
    """The 4.x series has another API, and none of these facts."""
    assert apscheduler.version.startswith("3.11.")
    assert not hasattr(apscheduler, "AsyncScheduler")


# 02: a basic scheduler


@pytest.mark.usefixtures("utc_host")
def test_a_trigger_object_takes_the_hosts_zone() -> None:
    """The lesson's 03:00 job fires at noon, whatever the scheduler's zone."""
    scheduler, _ = lesson_scheduler()
    job = scheduler.add_job(crawl, CronTrigger(hour=3, minute=0))
    assert fires(job.trigger, 1) == [kst(2026, 5, 10, 12)]


@pytest.mark.usefixtures("utc_host")
def test_a_trigger_named_by_a_string_takes_the_schedulers_zone() -> None:
    """The other spelling of the same job is right."""
    scheduler, _ = lesson_scheduler()
    job = scheduler.add_job(crawl, "cron", hour=3, minute=0)
    assert fires(job.trigger, 1) == [kst(2026, 5, 10, 3)]


@pytest.mark.usefixtures("utc_host")
def test_a_scheduler_without_a_zone_takes_the_hosts() -> None:
    """Missing timezone, UTC surprises."""
    assert str(AsyncIOScheduler().timezone) == "UTC"
    assert str(KSTScheduler().timezone) == "Asia/Seoul"


def test_pytz_zones_become_zoneinfo_zones() -> None:
    """Since 3.11.0."""
    assert AsyncIOScheduler(timezone=LESSON_KST).timezone == ZoneInfo("Asia/Seoul")


def test_start_needs_a_running_loop() -> None:
    """At module level it fails; in Jupyter the kernel's loop hides that."""
    scheduler, _ = lesson_scheduler()
    with pytest.raises(RuntimeError, match="no running event loop"):
        scheduler.start()


def test_a_sync_scheduler_never_awaits_a_coroutine_job() -> None:
    """And it reports success: the coroutine is the event's return value."""
    scheduler, ended = BackgroundScheduler(timezone=KST), threading.Event()
    events: list[Any] = []

    def note(event: SchedulerEvent) -> None:
        events.append(event)
        ended.set()

    scheduler.add_listener(note, ENDED)
    scheduler.start()
    scheduler.add_job(crawl)
    assert ended.wait(10)
    scheduler.shutdown()
    (event,) = events
    assert event.code == EVENT_JOB_EXECUTED
    assert inspect.iscoroutine(event.retval)
    event.retval.close()


@in_loop
async def test_inside_a_job_next_run_time_is_the_next_one() -> None:
    """So a job cannot learn from it which of its times it runs."""
    scheduler, _ = lesson_scheduler()
    scheduler.start()
    now = datetime.now(KST)
    seen = asyncio.get_running_loop().create_future()

    async def asking() -> None:
        seen.set_result(scheduler.get_job("asking").next_run_time)

    scheduler.add_job(asking, "interval", hours=1, id="asking", next_run_time=now)
    assert await asyncio.wait_for(seen, 10) == now + timedelta(hours=1)


# 03: triggers


@pytest.mark.usefixtures("utc_host")
def test_a_naive_date_is_the_hosts() -> None:
    """The lesson's 09:00 is 18:00 in Seoul."""
    trigger = DateTrigger(run_date=datetime(2026, 5, 10, 9, 0))  # noqa: DTZ001 - the lesson's
    assert fires(trigger, 1) == [kst(2026, 5, 10, 18)]


def test_a_pytz_zone_as_tzinfo_is_local_mean_time() -> None:
    """09:00 at +08:28 is 09:32 in Seoul; pytz wants localize()."""
    wrong = DateTrigger(run_date=datetime(2026, 5, 10, 9, 0, tzinfo=LESSON_KST))
    right = DateTrigger(run_date=LESSON_KST.localize(datetime(2026, 5, 10, 9, 0)))  # noqa: DTZ001
    assert fires(wrong, 1) == [kst(2026, 5, 10, 9, 32)]
    assert fires(right, 1) == [kst(2026, 5, 10, 9)]


def test_weekdays_by_name_are_right() -> None:
    """The lesson's mon,wed,fri."""
    trigger = CronTrigger(day_of_week="mon,wed,fri", hour=3, timezone=KST)
    assert [f"{fire:%a %H:%M}" for fire in fires(trigger, 4)] == [
        "Mon 03:00",
        "Wed 03:00",
        "Fri 03:00",
        "Mon 03:00",
    ]


def test_weekday_numbers_are_not_crontabs() -> None:
    """0 is Monday here and Sunday in crontab; 7, crontab's other Sunday, is refused."""
    (fire,) = fires(CronTrigger.from_crontab("0 9 * * 0", timezone=KST), 1)
    assert f"{fire:%A}" == "Monday"
    with pytest.raises(ValueError, match="higher than the maximum value"):
        CronTrigger.from_crontab("0 9 * * 7", timezone=KST)


def test_day_and_weekday_must_both_match() -> None:
    """In crontab one of them is enough."""
    trigger = CronTrigger(day="13", day_of_week="fri", hour=3, timezone=KST)
    assert [f"{fire:%Y-%m-%d}" for fire in fires(trigger, 2)] == ["2026-11-13", "2027-08-13"]


def test_a_field_left_out_between_two_matches_everything() -> None:
    """hour=3, second=0 fires sixty times; fields below the last one given are their lowest."""
    day = kst(2026, 5, 11)
    often = [fire for fire in fires(CronTrigger(hour=3, second=0, timezone=KST), 61) if fire < day]
    assert len(often) == 60
    assert fires(CronTrigger(hour=3, timezone=KST), 2) == [
        kst(2026, 5, 10, 3),
        kst(2026, 5, 11, 3),
    ]


def test_an_interval_counts_from_when_it_was_built() -> None:
    """The first run comes after one interval, and a restart begins a new phase."""
    before = datetime.now(KST)
    trigger = IntervalTrigger(hours=1, timezone=KST)
    after = datetime.now(KST)
    (first,) = fires(trigger, 1, start=after)
    assert before + timedelta(hours=1) <= first <= after + timedelta(hours=1)
    restarted = IntervalTrigger(hours=1, timezone=KST)
    assert restarted.start_date != trigger.start_date


def test_an_andtrigger_of_two_crons_searches_for_ever() -> None:
    """After its first fire it asks the same question again and again."""

    class TooManyQuestionsError(Exception):
        pass

    class Counting(BaseTrigger):  # type: ignore[misc] # the library is untyped
        def __init__(self, trigger: BaseTrigger) -> None:
            self.trigger, self.questions = trigger, 0

        def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> Any:
            self.questions += 1
            if self.questions > 1000:
                raise TooManyQuestionsError
            return self.trigger.get_next_fire_time(previous_fire_time, now)

    daily = CronTrigger(hour=3, timezone=KST)
    mondays = CronTrigger(day_of_week="mon", hour=3, timezone=KST)
    both = AndTrigger([Counting(daily), Counting(mondays)])
    first = both.get_next_fire_time(None, NIGHT)
    assert first == kst(2026, 5, 11, 3)
    with pytest.raises(TooManyQuestionsError):
        both.get_next_fire_time(first, first)


def test_an_impossible_date_is_searched_to_the_end_of_time() -> None:
    """It is no error: the job is added and never fires."""
    assert fires(CronTrigger(month=2, day=30, timezone=KST), 1) == []


def test_jitter_is_drawn_anew_at_every_question() -> None:
    """So replicas do not agree about the time of a run."""
    trigger = CronTrigger(hour=3, timezone=KST, jitter=3600)
    assert len({trigger.get_next_fire_time(None, NIGHT) for _ in range(10)}) > 1


def test_midnight_fires_are_lost_after_a_clock_was_put_forward() -> None:
    """New York's first of the month at 00:00, and the Monday after: agronholm/apscheduler #120."""
    new_york = ZoneInfo("America/New_York")
    start, end = (datetime(year, 1, 1, tzinfo=new_york) for year in (2026, 2036))
    monthly = fires(CronTrigger(day=1, hour=0, timezone=new_york), 120, start)
    assert sum(fire < end for fire in monthly) == 110
    mondays = fires(
        CronTrigger(day_of_week="mon", hour=0, minute=30, timezone=new_york),
        12,
        datetime(2026, 3, 1, tzinfo=new_york),
    )
    assert [f"{fire:%m-%d}" for fire in mondays[:2]] == ["03-02", "03-16"]


def test_in_the_repeated_hour_a_cron_job_fires_twice() -> None:
    """When a clock is put back, 01:30 comes twice."""
    new_york = ZoneInfo("America/New_York")
    trigger = CronTrigger(hour=1, minute=30, timezone=new_york)
    found = fires(trigger, 2, datetime(2026, 11, 1, tzinfo=new_york))
    assert [fire.astimezone(UTC).hour for fire in found] == [5, 6]


# 04: the four options


def test_the_librarys_own_defaults() -> None:
    """One second of grace, coalescing, one instance."""
    scheduler, _ = lesson_scheduler()
    assert scheduler._job_defaults == {
        "misfire_grace_time": 1,
        "coalesce": True,
        "max_instances": 1,
    }


@in_loop
async def test_replace_existing_in_job_defaults_is_dropped() -> None:
    """The lesson's fourth option does nothing; KSTScheduler honours it."""
    scheduler, _ = lesson_scheduler(job_defaults=JOB_DEFAULTS)
    assert "replace_existing" not in scheduler._job_defaults
    scheduler.start(paused=True)
    scheduler.add_job(crawl, "cron", hour=3, id="crawl")
    with pytest.raises(ConflictingIdError):
        scheduler.add_job(crawl, "cron", hour=4, id="crawl")

    honest = KSTScheduler(job_defaults=JOB_DEFAULTS)
    honest.start(paused=True)
    for hour in (3, 4):
        honest.add_job(crawl, "cron", hour=hour, id="crawl")
    assert len(honest.get_jobs()) == 1


@in_loop
async def test_before_the_start_a_conflict_shows_only_at_the_start() -> None:
    """add_job takes both jobs, and start() fails."""
    scheduler, _ = lesson_scheduler(job_defaults=JOB_DEFAULTS)
    for hour in (3, 4):
        scheduler.add_job(crawl, "cron", hour=hour, id="crawl")
    with pytest.raises(ConflictingIdError):
        scheduler.start()


@in_loop
async def test_the_decorator_passes_replace_existing() -> None:
    """So the lesson's own jobs never conflict, and its option is not missed."""
    scheduler, _ = lesson_scheduler()
    scheduler.start(paused=True)
    for hour in (3, 4):
        scheduler.scheduled_job("cron", hour=hour, id="crawl")(crawl)
    assert len(scheduler.get_jobs()) == 1


def test_an_unknown_option_is_ignored() -> None:
    """A job default written as an option of the scheduler has no effect, and no error."""
    scheduler, _ = lesson_scheduler(misfire_grace_time=900)
    assert scheduler._job_defaults["misfire_grace_time"] == 1


def test_arguments_beside_a_trigger_object_are_ignored() -> None:
    """A misspelt option of a job as well."""
    scheduler, _ = lesson_scheduler()
    job = scheduler.add_job(crawl, CronTrigger(hour=3, timezone=KST), misfire_grace=900, hour=4)
    assert str(job.trigger) == "cron[hour='3']"


MISSED, RAN = EVENT_JOB_MISSED, EVENT_JOB_EXECUTED


@pytest.mark.parametrize(
    ("coalesce", "grace", "outcome"),
    [
        pytest.param(True, 1, [MISSED], id="coalesce, default grace"),
        pytest.param(True, 60, [RAN], id="coalesce, grace"),
        pytest.param(False, 60, [MISSED] * 4 + [RAN], id="all, grace"),
        pytest.param(False, 7200, [MISSED] * 3 + [RAN] * 2, id="all, two hours"),
        pytest.param(False, None, [RAN] * 5, id="all, any time"),
    ],
)
@in_loop
async def test_an_hourly_job_after_four_hours_of_sleep(
    coalesce: bool, grace: int | None, outcome: list[int]
) -> None:
    """Five run times are due, the last of them 20 seconds late: what each pair makes of them."""
    scheduler, events = lesson_scheduler()
    scheduler.start()
    last = datetime.now(KST) - timedelta(seconds=20)
    scheduler.add_job(
        crawl,
        IntervalTrigger(hours=1, start_date=last, timezone=KST),
        next_run_time=last - timedelta(hours=4),
        coalesce=coalesce,
        misfire_grace_time=grace,
    )
    ended = await until(events, ENDED, len(outcome))
    assert [event.code for event in ended] == outcome
    run_times = [last - timedelta(hours=hours) for hours in range(4, -1, -1)]
    assert [event.scheduled_run_time for event in ended] == run_times[-len(outcome) :]
    (submitted,) = [event for event in events if event.code == EVENT_JOB_SUBMITTED]
    assert submitted.scheduled_run_times == run_times[-len(outcome) :]


@in_loop
async def test_the_events_of_a_batch_come_when_it_has_ended() -> None:
    """A listener's clock is not the time at which a run ended, and nothing says that one began."""
    scheduler, events = lesson_scheduler()
    seen: list[int] = []

    async def slow() -> None:
        seen.append(sum(bool(event.code & ENDED) for event in events))

    last = datetime.now(KST)
    scheduler.start()
    scheduler.add_job(
        slow,
        IntervalTrigger(hours=1, start_date=last, timezone=KST),
        next_run_time=last - timedelta(hours=2),
        coalesce=False,
        misfire_grace_time=None,
    )
    assert len(await until(events, ENDED, 3)) == 3
    assert seen == [0, 0, 0]


@in_loop
async def test_a_batch_takes_one_slot_and_the_next_one_is_skipped_whole() -> None:
    """One event stands for all the run times that max_instances turned away."""
    scheduler, events = lesson_scheduler()
    scheduler.start()
    release = asyncio.Event()
    last = datetime.now(KST)
    trigger = IntervalTrigger(hours=1, start_date=last, timezone=KST)
    options: dict[str, Any] = {"id": "crawl", "coalesce": False, "misfire_grace_time": None}
    due = last - timedelta(hours=2)
    scheduler.add_job(release.wait, trigger, next_run_time=due, **options)
    await until(events, EVENT_JOB_SUBMITTED)
    scheduler.modify_job("crawl", next_run_time=due)
    (skipped,) = await until(events, EVENT_JOB_MAX_INSTANCES)
    assert len(skipped.scheduled_run_times) == 3
    release.set()
    assert len(await until(events, EVENT_JOB_EXECUTED, 3)) == 3


@in_loop
async def test_grace_is_measured_when_the_run_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was due in time is missed, if it waits too long for a free thread."""
    asyncio.get_running_loop().set_default_executor(Pool(1))
    scheduler, events = lesson_scheduler()
    scheduler.start()
    release, begun = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        release.wait(10)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=1.5)

    scheduler.add_job(first, id="first")
    await wait_until(begun.is_set)
    scheduler.add_job(lambda: None, id="second")
    await until(events, EVENT_JOB_SUBMITTED, 2)
    monkeypatch.setattr(executors_base, "datetime", Later)
    release.set()
    one, two = await until(events, ENDED, 2)
    assert (one.job_id, one.code) == ("first", EVENT_JOB_EXECUTED)
    assert (two.job_id, two.code) == ("second", EVENT_JOB_MISSED)


# 05 and 06: what drain() and run_now() are for


@in_loop
async def test_shutdown_with_wait_cancels(caplog: pytest.LogCaptureFixture) -> None:
    """It returns at once, running is still true, and the job's end is an error in log and event."""
    scheduler, events = lesson_scheduler()
    scheduler.start()
    started = asyncio.Event()

    async def long() -> None:
        started.set()
        await asyncio.sleep(3600)

    scheduler.add_job(long, id="long")
    await started.wait()
    with caplog.at_level(logging.ERROR, "apscheduler"):
        scheduler.shutdown(wait=True)
        assert scheduler.running
        (event,) = await until(events, ENDED)
    assert not scheduler.running
    assert event.code == EVENT_JOB_ERROR
    assert isinstance(event.exception, asyncio.CancelledError)
    assert "raised an exception" in caplog.text


@in_loop
async def test_running_a_date_job_by_modify_consumes_it() -> None:
    """Its own date never comes; after run_now it does."""
    scheduler, events = lesson_scheduler()
    scheduler.start()
    job = scheduler.add_job(crawl, "date", run_date=kst(2099, 5, 10, 9), id="once")
    job.modify(next_run_time=datetime.now(KST))
    await until(events, EVENT_JOB_REMOVED)
    assert scheduler.get_job("once") is None


@in_loop
async def test_running_a_job_by_modify_moves_an_interval_and_wakes_a_paused_job() -> None:
    """The phase is that of the click, and the pause is over."""
    scheduler, events = lesson_scheduler()
    scheduler.start()
    job = scheduler.add_job(crawl, "interval", hours=1, id="hourly")
    job.pause()
    clicked = datetime.now(KST)
    job.modify(next_run_time=clicked)
    await until(events, EVENT_JOB_SUBMITTED)
    assert scheduler.get_job("hourly").next_run_time == clicked + timedelta(hours=1)


@in_loop
async def test_running_a_busy_job_by_modify_is_skipped_without_an_error() -> None:
    """The endpoint has answered ok by then."""
    scheduler, events = lesson_scheduler()
    scheduler.start()
    release = asyncio.Event()
    job = scheduler.add_job(release.wait, "interval", hours=1, id="busy")
    for _ in range(2):
        job.modify(next_run_time=datetime.now(KST))
        await asyncio.sleep(0.01)
    await until(events, EVENT_JOB_MAX_INSTANCES)
    release.set()
    await until(events, EVENT_JOB_EXECUTED)


@in_loop
async def test_a_naive_now_is_read_in_the_schedulers_zone() -> None:
    """On a UTC host it lies nine hours back, so the run is missed."""
    scheduler, events = lesson_scheduler()
    scheduler.start()
    job = scheduler.add_job(crawl, "interval", hours=24, id="daily")
    job.modify(next_run_time=datetime.now(UTC).replace(tzinfo=None))
    (event,) = await until(events, ENDED)
    assert event.code == EVENT_JOB_MISSED


@in_loop
async def test_max_instances_counts_by_id() -> None:
    """A second job of the same function runs beside the first."""
    scheduler, _ = lesson_scheduler()
    scheduler.start()
    release, count = asyncio.Event(), 0

    async def job() -> None:
        nonlocal count
        count += 1
        await release.wait()

    scheduler.add_job(job, id="scheduled")
    scheduler.add_job(job, id="by hand")
    await wait_until(lambda: count == 2)
    release.set()


def test_a_thread_pool_has_ten_threads() -> None:
    """The eleventh job of the same second waits for one of them, and its grace runs."""
    executor = ThreadPoolExecutor()
    assert executor._pool._max_workers == 10
    executor.shutdown()
