from __future__ import annotations

import functools
import warnings
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from in_loop import in_loop
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.runs.table import duplicates
from kst_scheduler.scheduler.agreement import JobWarning
from kst_scheduler.scheduler.executor import OccurrenceExecutor
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import Node, simulate
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import at, cron, every
from kst_scheduler.triggers.spread import spread

if TYPE_CHECKING:
    from collections.abc import Callable

D = kst(2026, 5, 10)
LEDGER = MemoryLedger()


async def crawl() -> None:
    """Stand for a job."""


crawl_once = once(LEDGER)(crawl)


@pytest.mark.parametrize("job_id", [None, ""])
def test_a_job_of_once_needs_an_id(job_id: str | None) -> None:
    """Without one APScheduler draws another for each replica; the message says what to write."""
    scheduler = KSTScheduler()
    with pytest.raises(InvalidArgumentError, match=r"crawl is to run once .* has no id.* write id"):
        scheduler.add_job(crawl_once, cron(hour=3), id=job_id)
    with pytest.raises(InvalidArgumentError, match="has no id"):
        scheduler.scheduled_job(cron(hour=3), id=job_id)(crawl_once)
    assert not scheduler.get_jobs()
    scheduler.add_job(crawl, cron(hour=3), id=job_id)


@pytest.mark.parametrize("job_id", ["국민연금-" * 101, "a\0b", "a\ud800"])
def test_an_id_that_no_ledger_can_hold_is_refused(job_id: str) -> None:
    """In every place where a job comes to be one of `once`; each run of it would fail."""
    scheduler = KSTScheduler()
    with pytest.raises(InvalidArgumentError, match=r"^id='.*a ledger "):
        scheduler.add_job(crawl_once, cron(hour=3), id=job_id)
    with pytest.raises(InvalidArgumentError, match=r"^id='.*a ledger "):
        scheduler.scheduled_job(cron(hour=3), id=job_id)(crawl_once)
    scheduler.add_job(crawl, cron(hour=3), id=job_id)
    with pytest.raises(InvalidArgumentError, match=r"^id='.*a ledger "):
        scheduler.modify_job(job_id, func=crawl_once)
    scheduler.add_job(crawl_once, cron(hour=3), id="x" * 500)


ANCHORED = {"start_date": kst(2026, 1, 1), "timezone": KST}


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (lambda: IntervalTrigger(hours=1, timezone=KST), "counts from the moment it was made"),
        (lambda: IntervalTrigger(seconds=0.5, **ANCHORED), "parts of a second"),
        (lambda: IntervalTrigger(hours=1, jitter=5, **ANCHORED), "has jitter=5"),
        (lambda: cron(hour=3, jitter=30), "has jitter=30"),
        (lambda: OrTrigger([cron(hour=4), cron(hour=3, jitter=3)]), "has jitter=3"),
        (lambda: OrTrigger([cron(hour=3)], jitter=9), "has jitter=9"),
        (lambda: on_business_days(IntervalTrigger(hours=1, timezone=KST)), "it was made"),
        (lambda: CalendarIntervalTrigger(days=1, jitter=3, timezone=KST), "has jitter=3"),
        (lambda: DateTrigger(timezone=KST), "a part of a second"),
        (lambda: at(D + timedelta(milliseconds=1)), "a part of a second"),
    ],
)
def test_a_trigger_that_replicas_do_not_agree_on_is_refused(
    trigger: Callable[[], Any], message: str
) -> None:
    """In every place where a job gets a trigger, however deep it is inside others."""
    scheduler = KSTScheduler()
    job = scheduler.add_job(crawl_once, cron(hour=3), id="nightly")
    places: list[Callable[[Any], object]] = [
        lambda trigger: scheduler.add_job(crawl_once, trigger, id="added"),
        lambda trigger: scheduler.scheduled_job(trigger, id="added")(crawl_once),
        lambda trigger: scheduler.add_job(functools.partial(crawl_once), trigger, id="added"),
        lambda trigger: scheduler.reschedule_job("nightly", trigger=trigger),
        lambda trigger: scheduler.modify_job("nightly", trigger=trigger),
        job.reschedule,
    ]
    for place in places:
        with pytest.raises(InvalidArgumentError, match=message) as error:
            place(trigger())
        assert "run once among all replicas" in str(error.value)
    assert [str(job.trigger) for job in scheduler.get_jobs()] == ["cron[hour='3']"]
    scheduler.add_job(crawl, trigger(), id="a job of one replica")
    with pytest.raises(InvalidArgumentError, match=message):
        scheduler.modify_job("a job of one replica", func=crawl_once)


@pytest.mark.parametrize(
    "arguments",
    [
        {"trigger": "interval", "hours": 1},
        {"trigger": "interval", "hours": 1, "end_date": kst(2030, 1, 1)},
        {"trigger": "calendarinterval", "months": 1},
        {"trigger": "date"},
        {"trigger": None},
        {},
    ],
)
def test_a_trigger_by_name_needs_its_first_moment(arguments: dict[str, Any]) -> None:
    """Without it APScheduler takes now, which is another one for each replica."""
    scheduler = KSTScheduler()
    with pytest.raises(InvalidArgumentError, match=r"counts from the start of each one without"):
        scheduler.add_job(crawl_once, id="nightly", **arguments)
    scheduler.add_job(crawl_once, cron(hour=3), id="nightly")
    with pytest.raises(InvalidArgumentError, match="run once among all replicas"):
        scheduler.reschedule_job("nightly", **arguments)


def test_what_replicas_agree_on_passes() -> None:
    """Cron, every, at, spread, and APScheduler's own with a first moment."""
    scheduler = KSTScheduler()
    for number, trigger in enumerate(
        (
            cron(hour=3, **spread("nightly", minutes=10)),
            every(hours=5),
            at(kst(2099, 5, 10, 9)),
            IntervalTrigger(hours=1, **ANCHORED),
            IntervalTrigger(hours=1, start_date=kst(2099, 1, 1), timezone=KST),
            CalendarIntervalTrigger(months=1, start_date=date(2026, 1, 1), timezone=KST),
            CronTrigger(hour=3, timezone=KST, jitter=0),
            on_business_days(cron(hour=3)),
        )
    ):
        scheduler.add_job(crawl_once, trigger, id=str(number))
    scheduler.add_job(crawl_once, "interval", hours=1, start_date="2026-01-01", id="text")
    scheduler.add_job(crawl_once, "date", run_date=kst(2099, 5, 10), id="date")
    scheduler.add_job(crawl_once, cron(hour=3), id="first", next_run_time=kst(2099, 5, 10))
    scheduler.add_job(crawl_once, cron(hour=3), id="paused", next_run_time=None)


def test_a_calendar_interval_from_today_is_warned_of() -> None:
    """It may have been given today, or nothing; a daily one has no phase to lose."""
    scheduler = KSTScheduler()
    with pytest.warns(JobWarning, match="counts from today") as caught:
        scheduler.add_job(crawl_once, CalendarIntervalTrigger(days=2, timezone=KST), id="nightly")
    assert caught[0].filename == __file__
    scheduler.add_job(crawl_once, CalendarIntervalTrigger(days=1, timezone=KST), id="nightly")
    scheduler.add_job(crawl, CalendarIntervalTrigger(days=2, timezone=KST), id="plain")


def test_a_first_run_at_a_replicas_own_moment_is_refused() -> None:
    """next_run_time=now is another occurrence on each replica; run_now() is for one of them."""
    scheduler = KSTScheduler()
    now = D + timedelta(microseconds=1)
    with pytest.raises(InvalidArgumentError, match=r"next_run_time=.* write .* or run_now"):
        scheduler.add_job(crawl_once, cron(hour=3), id="nightly", next_run_time=now)
    scheduler.add_job(crawl_once, cron(hour=3), id="nightly")
    with pytest.raises(InvalidArgumentError, match="next_run_time="):
        scheduler.modify_job("nightly", next_run_time=now)


def test_an_executor_that_knows_no_occurrence_is_refused() -> None:
    """Each run would end in NoOccurrenceError, at 03:00."""
    scheduler = KSTScheduler(executors={"default": {"type": "asyncio"}})
    with pytest.raises(InvalidArgumentError, match=r"executor='default', a AsyncIOExecutor, does"):
        scheduler.add_job(crawl_once, cron(hour=3), id="nightly")
    scheduler.add_job(crawl, cron(hour=3), id="nightly")
    with pytest.raises(InvalidArgumentError, match="does not tell it which occurrence"):
        scheduler.modify_job("nightly", func=crawl_once)
    KSTScheduler(executors={"default": OccurrenceExecutor()}).add_job(
        crawl_once, cron(hour=3), id="nightly"
    )


@in_loop
async def test_an_executor_that_comes_later_is_checked_at_start() -> None:
    """As for coroutine jobs on a pool."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl_once, cron(hour=3), id="nightly", executor="mine")
    scheduler.add_executor(AsyncIOExecutor(), "mine")
    with pytest.raises(InvalidArgumentError, match=r"job 'nightly' .* executor='mine'"):
        scheduler.start()
    assert not scheduler.running
    scheduler.modify_job("nightly", executor="default")
    scheduler.start(paused=True)
    with pytest.raises(InvalidArgumentError, match="executor='mine'"):
        scheduler.modify_job("nightly", executor="mine")
    scheduler.shutdown(wait=False)


@in_loop
async def test_an_executor_of_a_running_scheduler_is_checked_against_its_jobs() -> None:
    """A job may have been added before its executor; nothing is started of what is refused."""
    scheduler = KSTScheduler()
    scheduler.start(paused=True)
    scheduler.add_job(crawl_once, cron(hour=3), id="nightly", executor="mine")
    scheduler.add_job(crawl, cron(hour=3), id="coroutine", executor="threads")
    mine = AsyncIOExecutor()
    for executor in (mine, "asyncio", "threadpool"):
        with pytest.raises(InvalidArgumentError, match=r"job 'nightly' .* executor='mine'"):
            scheduler.add_executor(executor, "mine")
    for executor in (ThreadPoolExecutor(1), "threadpool"):
        with pytest.raises(InvalidArgumentError, match=r"job 'coroutine' .* executor='threads'"):
            scheduler.add_executor(executor, "threads")
    assert set(scheduler._executors) == {"default"}
    assert not hasattr(mine, "_eventloop")  # it was not started
    scheduler.add_executor(OccurrenceExecutor(max_threads=1), "mine")
    scheduler.add_executor("threadpool", "other", max_workers=1)
    with pytest.raises(ValueError, match="already has an executor"):
        scheduler.add_executor(AsyncIOExecutor(), "mine")
    with pytest.raises(TypeError, match="Expected an executor"):
        scheduler.add_executor(7, "third")
    scheduler.shutdown(wait=False)


@pytest.mark.parametrize("by_default", [True, False])
def test_concurrent_runs_are_warned_of(by_default: bool) -> None:
    """Once allows one, so max_instances=3 does not do what it says."""
    scheduler = KSTScheduler(job_defaults={"max_instances": 3 if by_default else 1})
    options: dict[str, Any] = {} if by_default else {"max_instances": 3}
    with pytest.warns(JobWarning, match="job 'nightly' has max_instances=3, and once") as caught:
        scheduler.add_job(crawl_once, cron(hour=3), id="nightly", **options)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.add_job(crawl, cron(hour=3), id="plain", **options)


@in_loop
async def test_max_instances_is_warned_of_when_it_is_changed() -> None:
    """Through modify_job, too, and only there where it is said."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl_once, cron(hour=3), id="nightly")
    with pytest.warns(JobWarning, match="max_instances=3"):
        scheduler.modify_job("nightly", max_instances=3)
    scheduler.modify_job("nightly", trigger=cron(hour=4))


def test_the_refused_ones_would_run_on_every_replica() -> None:
    """The reason for it all: five nodes with plain APScheduler, an interval without a start."""
    ledger = MemoryLedger()

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_executor(OccurrenceExecutor())
        job = once(ledger)(crawl)
        scheduler.add_job(job, IntervalTrigger(hours=1, timezone=KST), id="hourly")

    # Each host's clock is a minute off, so each of them builds its trigger at another moment.
    nodes = [Node(name, clock_offset=60.0 * number) for number, name in enumerate("ABCDE")]
    runs = simulate(
        register, D, D + timedelta(hours=2), nodes=nodes, scheduler=AsyncIOScheduler
    ).runs
    assert (runs["status"] == "ok").sum() == 5
    assert duplicates(runs).empty


def test_they_are_refused_in_a_simulation_too() -> None:
    """In virtual time, now may be a whole second."""

    def register(scheduler: KSTScheduler) -> None:
        scheduler.add_job(once(LEDGER)(crawl), IntervalTrigger(hours=1, timezone=KST), id="hourly")

    with pytest.raises(InvalidArgumentError, match="counts from the moment it was made"):
        simulate(register, D, D + timedelta(hours=2), nodes=2)


def test_calendar_intervals_count_from_the_hosts_today() -> None:
    """APScheduler 3.11.3's own default, on which the warning above stands."""
    assert CalendarIntervalTrigger(days=2, timezone=KST).start_date in (
        date.today(),  # noqa: DTZ011 - as the library does
        datetime.now(KST).date(),
    )
