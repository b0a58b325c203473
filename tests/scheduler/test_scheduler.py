from __future__ import annotations

import asyncio
import functools
import inspect
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import pytz
from apscheduler.events import EVENT_JOB_REMOVED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import ConflictingIdError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers import SchedulerAlreadyRunningError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from in_loop import in_loop
from kst_scheduler.errors import (
    InvalidArgumentError,
    JobConflictError,
    NaiveDatetimeError,
    TimezoneError,
)
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.scheduler.arguments import JobChanges, TriggerArguments
from kst_scheduler.scheduler.executor import OccurrenceExecutor
from kst_scheduler.scheduler.guards import OPTION_NAMES
from kst_scheduler.scheduler.kst_scheduler import JOB_DEFAULTS, KSTScheduler
from kst_scheduler.scheduler.occurrence import Occurrence, current_occurrence
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import at, cron, crontab, every

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEW_YORK = ZoneInfo("America/New_York")
NAIVE = datetime(2099, 5, 10, 9)  # noqa: DTZ001 - what is to be refused


async def crawl() -> None:
    """Stand for a job."""


def report() -> None:
    """Stand for a job that is a plain function."""


# Defaults and options


def test_it_keeps_korean_time_and_the_four_job_defaults() -> None:
    """Without any argument it is what the last line of the lesson asks for."""
    scheduler = KSTScheduler()
    assert scheduler.timezone == KST
    assert JOB_DEFAULTS == {
        "max_instances": 1,
        "coalesce": True,
        "misfire_grace_time": 300,
        "replace_existing": True,
    }


@in_loop
async def test_the_job_defaults_reach_the_jobs() -> None:
    """The caller's job defaults are laid over JOB_DEFAULTS, one by one."""
    scheduler = KSTScheduler(job_defaults={"misfire_grace_time": 900})
    scheduler.add_job(crawl, cron(hour=3), id="a")
    scheduler.add_job(crawl, cron(hour=3), id="b", coalesce=False, misfire_grace_time=None)
    scheduler.start(paused=True)
    a, b = scheduler.get_job("a"), scheduler.get_job("b")
    assert (a.max_instances, a.coalesce, a.misfire_grace_time) == (1, True, 900)
    assert (b.max_instances, b.coalesce, b.misfire_grace_time) == (1, False, None)


@pytest.mark.parametrize(
    "timezone", ["Asia/Tokyo", ZoneInfo("Asia/Tokyo"), pytz.timezone("Asia/Tokyo")]
)
def test_another_zone_may_be_named(timezone: Any) -> None:
    """By name, as a zoneinfo zone or as a pytz zone."""
    assert str(KSTScheduler(timezone=timezone).timezone) == "Asia/Tokyo"


def test_an_unknown_zone_is_refused() -> None:
    """The message says what a zone is called."""
    with pytest.raises(TimezoneError, match="unknown time zone 'Asia/Soul'; write an IANA name"):
        KSTScheduler(timezone="Asia/Soul")


def test_a_job_default_among_the_options_is_refused_with_the_repair() -> None:
    """AsyncIOScheduler ignores it; here the message says where it belongs."""
    message = r"misfire_grace_time=900 .* write job_defaults=\{'misfire_grace_time': 900\}"
    with pytest.raises(InvalidArgumentError, match=message):
        KSTScheduler(misfire_grace_time=900)
    with pytest.raises(InvalidArgumentError, match=message):
        KSTScheduler({"apscheduler.misfire_grace_time": 900})
    with pytest.raises(InvalidArgumentError, match=message):
        KSTScheduler().configure(misfire_grace_time=900)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_zone": "UTC"}, "no option 'time_zone'; did you mean 'timezone'?"),
        ({"workers": 3}, "no option 'workers'; it knows event_loop, executors, job_defaults"),
        (
            {"job_defaults": {"max_instance": 1}},
            "unknown key 'max_instance'; did you mean 'max_instances'?",
        ),
        (
            {"job_defaults": {"timeout": 60}},
            "unknown key 'timeout'; it knows coalesce, max_instances, misfire_grace_time",
        ),
        ({"job_defaults": None}, "job_defaults=None is not a dict"),
    ],
)
def test_unknown_options_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    """The nearest known name is offered, or all of them."""
    with pytest.raises(InvalidArgumentError) as error:
        KSTScheduler(**options)
    assert message in str(error.value)


def test_options_of_an_ini_file_work_as_in_apscheduler() -> None:
    """Dotted keys with the prefix, and text for values; keys of other programs are passed over."""
    scheduler = KSTScheduler(
        {
            "apscheduler.timezone": "Asia/Tokyo",
            "apscheduler.job_defaults.coalesce": "false",
            "apscheduler.job_defaults.replace_existing": "no",
            "apscheduler.executors.threads.type": "threadpool",
            "another.program": "1",
        }
    )
    assert str(scheduler.timezone) == "Asia/Tokyo"
    assert not scheduler._job_defaults["coalesce"]
    assert scheduler._job_defaults["misfire_grace_time"] == 300
    assert not scheduler._replace_existing
    assert isinstance(scheduler._executors["threads"], ThreadPoolExecutor)


@in_loop
async def test_configure_works_until_the_scheduler_runs() -> None:
    """As in APScheduler it starts from the defaults again, and these are JOB_DEFAULTS."""
    scheduler = KSTScheduler(timezone="UTC", job_defaults={"replace_existing": False})
    scheduler.configure(job_defaults={"max_instances": 2})
    assert str(scheduler.timezone) == "Asia/Seoul"
    assert scheduler._replace_existing
    assert scheduler._job_defaults == {
        "max_instances": 2,
        "coalesce": True,
        "misfire_grace_time": 300,
    }
    scheduler.start()
    with pytest.raises(SchedulerAlreadyRunningError):
        scheduler.configure()


# replace_existing


@in_loop
async def test_a_job_of_the_same_id_is_replaced() -> None:
    """By default, on a scheduler that runs and on one that is yet to start."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl, cron(hour=3), id="crawl")
    scheduler.add_job(crawl, cron(hour=4), id="crawl")
    scheduler.start()
    assert [str(job.trigger) for job in scheduler.get_jobs()] == ["cron[hour='4']"]
    scheduler.add_job(crawl, cron(hour=5), id="crawl")
    assert [str(job.trigger) for job in scheduler.get_jobs()] == ["cron[hour='5']"]


@in_loop
async def test_replace_existing_of_the_caller_is_honoured() -> None:
    """From job_defaults, and an argument of add_job wins over them."""
    scheduler = KSTScheduler(job_defaults={"replace_existing": False})
    scheduler.start()
    scheduler.add_job(crawl, cron(hour=3), id="crawl")
    with pytest.raises(ConflictingIdError):
        scheduler.add_job(crawl, cron(hour=4), id="crawl")
    scheduler.add_job(crawl, cron(hour=4), id="crawl", replace_existing=True)
    strict = KSTScheduler()
    for _ in range(2):
        strict.add_job(crawl, cron(hour=4), id="crawl", replace_existing=False)
    with pytest.raises(ConflictingIdError):
        strict.start()


@in_loop
async def test_the_decorator_always_replaces() -> None:
    """As in APScheduler, whatever the job defaults say."""
    scheduler = KSTScheduler(job_defaults={"replace_existing": False})
    scheduler.start()
    for hour in (3, 4):
        scheduler.scheduled_job(cron(hour=hour), id="crawl")(crawl)
    assert [str(job.trigger) for job in scheduler.get_jobs()] == ["cron[hour='4']"]


def test_another_function_does_not_take_an_id_silently() -> None:
    """A copied line with its old id would make the first job vanish, with every way to add one."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl, cron(hour=3), id="nightly")
    ways: list[Callable[..., object]] = [
        lambda job, **options: scheduler.add_job(job, cron(hour=4), id="nightly", **options),
        lambda job, **options: scheduler.scheduled_job(cron(hour=4), id="nightly", **options)(job),
    ]
    for way in ways:
        with pytest.raises(JobConflictError) as error:
            way(report)
        assert str(error.value) == (
            "the id 'nightly' belongs to the job crawl, which would vanish; give report an id of "
            "its own, or write replace_existing=True in this call if it is to take its place"
        )
        assert isinstance(error.value, ConflictingIdError)
        assert [job.func for job in scheduler.get_jobs()] == [crawl]
    for way in ways:
        way(report, replace_existing=True)
        assert scheduler.get_jobs()[-1].func is report
        with pytest.raises(JobConflictError, match="belongs to the job report"):
            way(crawl)
        way(crawl, replace_existing=True)


def test_a_job_of_a_factory_does_not_take_the_id_of_another() -> None:
    """All of its jobs have one name; the registration may be repeated all the same."""

    def job_for(site: str) -> Callable[[], object]:
        async def job() -> str:
            return site

        return job

    scheduler = KSTScheduler()
    for _registration in range(2):
        scheduler.add_job(job_for("nps"), cron(hour=3), id="nightly")
    with pytest.raises(JobConflictError):
        scheduler.add_job(job_for("moa"), cron(hour=3), id="nightly")


@in_loop
async def test_the_function_that_counts_is_the_last_one() -> None:
    """After a change of the job, on a scheduler that runs, and when the id is free again."""
    scheduler = KSTScheduler()
    scheduler.start(paused=True)
    scheduler.add_job(crawl, cron(hour=3), id="nightly")
    scheduler.modify_job("nightly", func=report)
    scheduler.add_job(report, cron(hour=4), id="nightly")
    with pytest.raises(JobConflictError):
        scheduler.add_job(crawl, cron(hour=4), id="nightly")
    scheduler.remove_job("nightly")
    scheduler.add_job(crawl, cron(hour=4), id="nightly")
    scheduler.add_jobstore("memory", "other")
    scheduler.add_job(report, cron(hour=4), id="nightly", jobstore="other")
    scheduler.shutdown(wait=False)


@in_loop
async def test_what_an_earlier_process_left_may_be_replaced() -> None:
    """Between two deployments the code of a job moves, and its id stays."""
    store = KeptJobStore()
    for function in (crawl, report):
        scheduler = KSTScheduler(jobstores={"default": store})
        scheduler.start(paused=True)
        scheduler.add_job(function, cron(hour=3), id="nightly")
        assert [job.func for job in scheduler.get_jobs()] == [function]
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0)


@in_loop
async def test_one_shot_jobs_leave_nothing_behind() -> None:
    """A service may add one for each request, each with an id of its own."""
    scheduler = KSTScheduler()
    scheduler.start()
    ended = asyncio.Event()
    scheduler.add_listener(lambda _: scheduler.get_jobs() or ended.set(), EVENT_JOB_REMOVED)  # type: ignore[func-returns-value]
    for number in range(10):
        scheduler.add_job(crawl, at(datetime.now(KST)), id=f"once-{number}")
        scheduler.add_job(crawl, at(datetime.now(KST)))
    await asyncio.wait_for(ended.wait(), 10)
    assert not scheduler._added
    await scheduler.drain(1)


def test_a_scheduler_that_is_configured_anew_still_knows_its_jobs() -> None:
    """Its pending jobs stay."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl, cron(hour=3), id="nightly")
    scheduler.configure(timezone="UTC")
    with pytest.raises(JobConflictError):
        scheduler.add_job(report, "cron", hour=3, id="nightly")


class KeptJobStore(MemoryJobStore):  # type: ignore[misc] # the library is untyped
    """Stands for a job store that outlives the process."""

    def shutdown(self) -> None:
        """Keep the jobs."""


def test_arguments_that_do_not_fit_are_refused_at_once() -> None:
    """Not at 03:00, through once and hand_off too; nothing has been added or changed."""
    scheduler = KSTScheduler()

    async def crawl_source(source: str) -> None:
        """Stand for a job with an argument."""

    job = once(MemoryLedger())(crawl_source)
    with pytest.raises(InvalidArgumentError, match="missing a required argument: 'source'"):
        scheduler.add_job(job, cron(hour=3), id="nightly")
    with pytest.raises(InvalidArgumentError, match="missing a required argument: 'source'"):
        scheduler.scheduled_job(cron(hour=3), id="nightly")(job)
    assert not scheduler.get_jobs()
    scheduler.add_job(job, cron(hour=3), id="nightly", args=iter(["nps"]))
    for changes in ({"args": ()}, {"args": ("nps", "moa")}, {"kwargs": {"pages": 1}}):
        with pytest.raises(InvalidArgumentError, match="job 'nightly' would fail at each run"):
            scheduler.modify_job("nightly", **changes)
    assert scheduler.get_job("nightly").args == ("nps",)
    scheduler.modify_job("nightly", args=("moa",))


# Triggers and zones


@pytest.mark.parametrize(
    "trigger",
    [cron(hour=3), every(hours=1), at(kst(2099, 5, 10, 9)), crontab("0 3 1 * mon")],
    ids=str,
)
def test_triggers_in_the_schedulers_zone_are_taken(trigger: Any) -> None:
    """Those of this package, of which crontab may be a combination."""
    assert KSTScheduler().add_job(crawl, trigger).trigger is trigger


def test_zones_are_the_same_by_name() -> None:
    """A pytz zone, and a second zoneinfo object of the same name, are no other zone."""
    scheduler = KSTScheduler()
    for zone in ("Asia/Seoul", pytz.timezone("Asia/Seoul"), ZoneInfo.no_cache("Asia/Seoul")):
        scheduler.add_job(crawl, CronTrigger(hour=3, timezone=zone))
    KSTScheduler(timezone="UTC").add_job(crawl, CronTrigger(hour=3, timezone=UTC))


def test_a_trigger_built_on_a_utc_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lesson's first job: the message shows both fire times, and the repair."""
    monkeypatch.setattr("apscheduler.triggers.cron.get_localzone", lambda: ZoneInfo("UTC"))
    scheduler = KSTScheduler()
    with pytest.raises(TimezoneError) as error:
        scheduler.scheduled_job(CronTrigger(hour=3, minute=0), id="daily-nps-crawl")(crawl)
    message = str(error.value)
    assert "cron[hour='3', minute='0'] is in the zone 'UTC'" in message
    assert "12:00:00 KST, which is " in message
    assert "03:00:00 UTC" in message
    assert "write cron(hour=3, minute=0), or add allow_timezone='UTC'" in message
    assert not scheduler.get_jobs()


def test_another_zone_is_taken_when_it_is_named() -> None:
    """allow_timezone names the zone that is meant, for trigger objects and for strings."""
    scheduler = KSTScheduler()
    trigger = CronTrigger(hour=3, timezone=NEW_YORK)
    scheduler.add_job(crawl, trigger, id="object", allow_timezone="America/New_York")
    job = scheduler.add_job(crawl, "cron", hour=3, allow_timezone=NEW_YORK)
    assert job.trigger.timezone == NEW_YORK
    scheduler.scheduled_job(trigger, id="decorated", allow_timezone=NEW_YORK)(crawl)
    assert len(scheduler.get_jobs()) == 3


def test_allow_timezone_must_be_the_triggers_zone() -> None:
    """Naming New York does not let a trigger in UTC pass, nor one in the scheduler's own zone."""
    scheduler = KSTScheduler()
    for timezone in ("UTC", "Asia/Seoul"):
        with pytest.raises(TimezoneError, match=f"is in the zone '{timezone}'"):
            scheduler.add_job(
                crawl,
                CronTrigger(hour=3, timezone=timezone),
                allow_timezone="America/New_York",
            )


def test_a_trigger_named_by_a_string_is_in_the_schedulers_zone() -> None:
    """As in APScheduler; a zone of its own has to be said with allow_timezone."""
    scheduler = KSTScheduler()
    assert scheduler.add_job(crawl, "cron", hour=3).trigger.timezone == KST
    assert scheduler.add_job(crawl, "cron", hour=3, timezone="Asia/Seoul").trigger.timezone == KST
    with pytest.raises(TimezoneError, match="allow_timezone='UTC' in its place"):
        scheduler.add_job(crawl, "cron", hour=3, timezone="UTC")


def test_naive_dates_are_refused_wherever_they_are_written() -> None:
    """The message names the argument."""
    scheduler = KSTScheduler()
    with pytest.raises(NaiveDatetimeError, match=r"run_date=.* write kst\(2099, 5, 10, 9\)"):
        scheduler.add_job(crawl, run_date=NAIVE)
    with pytest.raises(NaiveDatetimeError, match="start_date="):
        scheduler.add_job(crawl, "interval", hours=1, start_date=NAIVE)
    with pytest.raises(NaiveDatetimeError, match="end_date="):
        scheduler.add_job(crawl, "cron", hour=1, end_date=NAIVE)
    with pytest.raises(NaiveDatetimeError, match="next_run_time="):
        scheduler.add_job(crawl, "cron", hour=1, next_run_time=NAIVE)
    scheduler.add_job(crawl, cron(hour=3), id="crawl")
    with pytest.raises(NaiveDatetimeError, match="next_run_time="):
        scheduler.modify_job("crawl", next_run_time=NAIVE)
    with pytest.raises(NaiveDatetimeError, match="run_date="):
        scheduler.reschedule_job("crawl", trigger="date", run_date=NAIVE)


def test_an_aware_date_beside_a_string_may_have_any_zone() -> None:
    """It names one instant, and was written where the job was."""
    moment = datetime(2099, 5, 10, tzinfo=NEW_YORK)
    job = KSTScheduler().add_job(crawl, "date", run_date=moment)
    assert job.trigger.run_date == moment


def test_dates_as_text_are_korean() -> None:
    """APScheduler reads text in the scheduler's zone, which no host changes."""
    job = KSTScheduler().add_job(crawl, "date", run_date="2099-05-10 09:00:00")
    assert job.trigger.run_date == kst(2099, 5, 10, 9)


def test_a_date_that_took_the_hosts_zone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lesson's 09:00 would be 18:00 on a UTC host."""
    monkeypatch.setattr("apscheduler.triggers.date.get_localzone", lambda: ZoneInfo("UTC"))
    with pytest.raises(TimezoneError) as error:
        KSTScheduler().add_job(crawl, DateTrigger(run_date=NAIVE))
    assert "2099-05-10 18:00:00 KST, which is 2099-05-10 09:00:00 UTC" in str(error.value)
    assert "write at(kst(2099, 5, 10, 9))" in str(error.value)


def test_a_date_passes_where_the_clock_shows_the_same() -> None:
    """A DateTrigger keeps no zone but its date's: +09:00 is Seoul's clock."""
    nine = datetime.fromisoformat("2099-05-10T09:00:00+09:00")
    KSTScheduler().add_job(crawl, DateTrigger(run_date=nine))
    KSTScheduler().add_job(crawl, DateTrigger(run_date=nine.astimezone(UTC)), allow_timezone="UTC")


def test_a_job_without_a_trigger_runs_at_once() -> None:
    """APScheduler's shortest form stays possible."""
    job = KSTScheduler().add_job(crawl)
    assert abs(datetime.now(UTC) - job.trigger.run_date) < timedelta(minutes=1)


def test_rescheduling_is_checked_like_adding() -> None:
    """Both ways to give a job another trigger, through the scheduler and through the job."""
    scheduler = KSTScheduler()
    job = scheduler.add_job(crawl, cron(hour=3), id="crawl")
    foreign = CronTrigger(hour=3, timezone="UTC")
    changes: list[Callable[..., object]] = [
        lambda **more: scheduler.reschedule_job("crawl", trigger=foreign, **more),
        lambda **more: scheduler.modify_job("crawl", trigger=foreign, **more),
        lambda **more: job.reschedule(foreign, **more),
        lambda **more: job.modify(trigger=foreign, **more),
    ]
    for change in changes:
        with pytest.raises(TimezoneError, match="is in the zone 'UTC'"):
            change()
        change(allow_timezone="UTC")
        assert scheduler.get_job("crawl").trigger is foreign
        scheduler.reschedule_job("crawl", trigger="cron", hour=4)
        assert scheduler.get_job("crawl").trigger.timezone == KST


@in_loop
async def test_rescheduling_moves_the_next_run() -> None:
    """As in APScheduler, the next run time is that of the new trigger."""
    scheduler = KSTScheduler()
    scheduler.start(paused=True)
    scheduler.add_job(crawl, cron(hour=3), id="crawl")
    scheduler.reschedule_job("crawl", trigger=at(kst(2099, 5, 10, 9)))
    assert scheduler.get_job("crawl").next_run_time == kst(2099, 5, 10, 9)


@in_loop
async def test_another_trigger_moves_the_next_run_whichever_way_it_comes() -> None:
    """APScheduler's modify_job keeps the old next run, be it a month away."""
    scheduler = KSTScheduler()
    scheduler.start(paused=True)
    job = scheduler.add_job(crawl, at(kst(2099, 6, 10)), id="crawl")
    moments = [kst(2099, 5, day) for day in range(10, 14)]
    changes: list[Callable[[Any], object]] = [
        lambda trigger: scheduler.modify_job("crawl", trigger=trigger),
        lambda trigger: scheduler.reschedule_job("crawl", trigger=trigger),
        lambda trigger: job.modify(trigger=trigger),
        job.reschedule,
    ]
    for change, moment in zip(changes, moments, strict=True):
        change(at(moment))
        assert scheduler.get_job("crawl").next_run_time == moment
    scheduler.modify_job("crawl", trigger=at(moments[0]), next_run_time=moments[1])
    assert scheduler.get_job("crawl").next_run_time == moments[1]
    scheduler.shutdown(wait=False)


def test_modify_job_takes_a_trigger_object() -> None:
    """A name has no fields there; the message says where it has."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl, cron(hour=3), id="crawl")
    with pytest.raises(
        InvalidArgumentError, match=r"write reschedule_job\('crawl', trigger='cron'"
    ):
        scheduler.modify_job("crawl", trigger="cron")
    with pytest.raises(TypeError, match="Expected a trigger instance"):
        scheduler.modify_job("crawl", trigger=None)


@in_loop
async def test_a_paused_job_stays_paused_under_another_trigger() -> None:
    """It runs at the new times once it is resumed; APScheduler's reschedule_job resumes it."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl, cron(hour=3), id="before the start", next_run_time=None)
    scheduler.reschedule_job("before the start", trigger=cron(hour=4))
    scheduler.start(paused=True)
    scheduler.add_job(crawl, cron(hour=3), id="crawl")
    scheduler.pause_job("crawl")
    for id_ in ("crawl", "before the start"):
        scheduler.reschedule_job(id_, trigger=at(kst(2099, 5, 10, 9)))
        assert scheduler.get_job(id_).next_run_time is None
        scheduler.modify_job(id_, trigger=at(kst(2099, 5, 10, 10)))
        assert scheduler.get_job(id_).next_run_time is None
        scheduler.resume_job(id_)
        assert scheduler.get_job(id_).next_run_time == kst(2099, 5, 10, 10)
    scheduler.shutdown(wait=False)


def test_before_the_start_the_start_gives_the_next_run() -> None:
    """A scheduler that starts days later would find a next run of today long past."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl, cron(hour=3), id="crawl")
    scheduler.reschedule_job("crawl", trigger=cron(hour=4))
    assert not hasattr(scheduler.get_job("crawl"), "next_run_time")


@in_loop
async def test_a_trigger_that_has_ended_is_refused() -> None:
    """With it the job would look paused for ever; it stays as it is, paused or not."""
    scheduler = KSTScheduler()
    scheduler.start(paused=True)
    job = scheduler.add_job(crawl, cron(hour=3), id="crawl")
    over = cron(hour=3, end_date=kst(2020, 1, 1))
    changes: list[Callable[[], object]] = [
        lambda: scheduler.reschedule_job("crawl", trigger=over),
        lambda: scheduler.modify_job("crawl", trigger=over),
        lambda: job.reschedule("cron", hour=3, end_date=kst(2020, 1, 1)),
    ]
    for paused in (False, True):
        for change in changes:
            with pytest.raises(InvalidArgumentError, match=r"never fires again.* remove_job"):
                change()
            assert str(scheduler.get_job("crawl").trigger) == "cron[hour='3']"
            assert (scheduler.get_job("crawl").next_run_time is None) is paused
        scheduler.pause_job("crawl")
    scheduler.shutdown(wait=False)


# A trigger that has ended

OVER = cron(hour=3, end_date=kst(2020, 1, 1))


def lines_of(log: pytest.LogCaptureFixture, job_id: str) -> list[str]:
    """Return what the log says of a job that is over."""
    said = [record.getMessage() for record in log.records if record.levelname == "WARNING"]
    return [line for line in said if repr(job_id) in line]


@in_loop
async def test_a_job_that_never_fires_again_leaves_the_scheduler_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As APScheduler removes one after its last run: it must not look like a paused job.

    It is no error, for a service must start again after its campaign; the log has one line.
    """
    scheduler = KSTScheduler()
    removed: list[str] = []
    scheduler.add_listener(lambda event: removed.append(event.job_id), EVENT_JOB_REMOVED)
    scheduler.add_job(crawl, OVER, id="pending")
    scheduler.add_job(crawl, cron(hour=3), id="changed")
    scheduler.modify_job("changed", trigger=OVER)
    scheduler.add_job(crawl, cron(hour=3), id="rescheduled")
    scheduler.reschedule_job("rescheduled", trigger="cron", hour=3, end_date="2020-01-01")
    scheduler.scheduled_job("interval", hours=1, end_date="2020-01-01", id="decorated")(crawl)
    scheduler.start(paused=True)
    scheduler.add_job(crawl, OVER, id="running")
    scheduler.scheduled_job(OVER, id="decorated later")(crawl)
    over = ["pending", "changed", "rescheduled", "decorated", "running", "decorated later"]
    assert scheduler.get_jobs() == []
    assert removed == over
    for job_id in over:
        assert len(lines_of(caplog, job_id)) == 1
        assert "never fires again" in lines_of(caplog, job_id)[0]
    scheduler.add_job(report, cron(hour=3), id="pending")  # the id is free
    scheduler.shutdown(wait=False)


@in_loop
async def test_a_paused_job_stays_and_one_with_a_run_of_its_own_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Their next run is not the trigger's; where an id is added twice, the last one counts."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl, OVER, id="paused", next_run_time=None)
    scheduler.add_job(crawl, OVER, id="once more", next_run_time=kst(2099, 1, 1))
    for job_id in ("paused", "once more"):
        scheduler.modify_job(job_id, trigger=OVER)
    scheduler.add_job(crawl, OVER, id="twice")
    scheduler.add_job(crawl, cron(hour=3), id="twice")
    scheduler.add_job(crawl, OVER, id="twice, paused")
    scheduler.add_job(crawl, OVER, id="twice, paused", next_run_time=None)
    scheduler.start(paused=True)
    scheduler.add_job(crawl, OVER, id="paused later", next_run_time=None)
    kept = {"paused", "once more", "twice", "twice, paused", "paused later"}
    assert {job.id for job in scheduler.get_jobs()} == kept
    assert scheduler.get_job("once more").next_run_time == kst(2099, 1, 1)
    assert not [record for record in caplog.records if "never fires" in record.getMessage()]
    scheduler.shutdown(wait=False)


@in_loop
async def test_a_job_that_is_over_leaves_a_persistent_job_store(tmp_path: Path) -> None:
    """The row of an earlier start goes, one that is paused stays, and so does another store's."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    for triggers in ((cron(hour=3), cron(hour=3)), (OVER, OVER)):
        scheduler = KSTScheduler()
        scheduler.add_jobstore(SQLAlchemyJobStore(url), "kept")
        scheduler.add_job(crawl, triggers[0], id="campaign", jobstore="kept")
        scheduler.add_job(crawl, cron(hour=3), id="campaign", jobstore="default")
        scheduler.start(paused=True)
        scheduler.add_job(crawl, triggers[1], id="added later", jobstore="kept")
        scheduler.add_job(crawl, cron(hour=3), id="paused", jobstore="kept", next_run_time=None)
        kept = sorted(job.id for job in scheduler.get_jobs("kept"))
        assert [job.id for job in scheduler.get_jobs("default")] == ["campaign"]
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0)
    assert kept == ["paused"]


@in_loop
async def test_rescheduling_goes_through_an_overriding_modify_job() -> None:
    """So does APScheduler's own, and a subclass hears of each change."""
    heard: list[dict[str, Any]] = []

    class Listening(KSTScheduler):
        def modify_job(self, job_id: str, jobstore: str | None = None, **changes: Any) -> Any:
            heard.append(changes)
            return super().modify_job(job_id, jobstore, **changes)

    scheduler = Listening()
    scheduler.add_job(crawl, cron(hour=3), id="crawl")
    trigger = cron(hour=4)
    scheduler.reschedule_job("crawl", trigger=trigger)
    assert heard == [{"trigger": trigger}]
    assert scheduler.get_job("crawl").trigger is trigger


def test_arguments_beside_a_trigger_object_are_refused() -> None:
    """AsyncIOScheduler drops them, a misspelt option of the job included."""
    with pytest.raises(InvalidArgumentError, match="misfire_grace would be ignored"):
        KSTScheduler().add_job(crawl, cron(hour=3), misfire_grace=60)  # type: ignore[call-arg]


# Coroutine jobs and executors


async def calls(_self: object) -> None:
    """Be awaited when an object is called."""


COROUTINE_JOBS = [crawl, functools.partial(crawl), type("Crawler", (), {"__call__": calls})()]


@pytest.mark.parametrize("job", COROUTINE_JOBS)
def test_a_coroutine_job_on_a_pool_is_refused(job: Callable[..., object]) -> None:
    """It would never be awaited, and be reported as executed."""
    scheduler = KSTScheduler(executors={"threads": {"type": "threadpool"}})
    with pytest.raises(InvalidArgumentError) as error:
        scheduler.add_job(job, cron(hour=3), id="crawl", executor="threads")
    assert "job 'crawl' is a coroutine function, which executor='threads'" in str(error.value)
    assert "a ThreadPoolExecutor, would call and never await" in str(error.value)
    scheduler.add_job(report, cron(hour=3), executor="threads")
    scheduler.add_job(job, cron(hour=3))


@in_loop
async def test_an_executor_that_comes_later_is_checked_at_start() -> None:
    """When the job is added its executor is not known yet."""
    scheduler = KSTScheduler()
    scheduler.add_job(crawl, cron(hour=3), id="crawl", executor="threads")
    scheduler.add_executor("threadpool", "threads")
    with pytest.raises(InvalidArgumentError, match="job 'crawl' is a coroutine function"):
        scheduler.start()
    assert not scheduler.running
    scheduler.remove_job("crawl")
    scheduler.start()


@in_loop
async def test_a_pool_as_default_executor_is_checked_too() -> None:
    """Also after the start, and when a job is changed."""
    scheduler = KSTScheduler(executors={"default": ThreadPoolExecutor(1)})
    scheduler.start()
    with pytest.raises(InvalidArgumentError, match="executor='default'"):
        scheduler.add_job(crawl, cron(hour=3), id="crawl")
    scheduler.add_job(report, cron(hour=3), id="report")
    with pytest.raises(InvalidArgumentError, match="executor='default'"):
        scheduler.modify_job("report", func=crawl)
    assert scheduler.get_job("report").func is report
    scheduler.shutdown(wait=False)


def test_a_job_named_by_text_is_looked_up() -> None:
    """A reference to a coroutine function is one."""
    scheduler = KSTScheduler(executors={"threads": ThreadPoolExecutor(1)})
    with pytest.raises(InvalidArgumentError, match="is a coroutine function"):
        scheduler.add_job("asyncio:sleep", cron(hour=3), args=[1], executor="threads")


# A drop-in


@in_loop
async def test_a_due_job_runs_and_knows_its_occurrence() -> None:
    """The default executor tells a job which of its times it runs."""
    scheduler, ran = KSTScheduler(), asyncio.get_running_loop().create_future()
    assert isinstance(scheduler._create_default_executor(), OccurrenceExecutor)

    async def crawl() -> None:
        ran.set_result(current_occurrence())

    due = datetime.now(KST).replace(microsecond=0)
    scheduler.start()
    scheduler.add_job(crawl, every(hours=1), id="crawl", next_run_time=due)
    assert await asyncio.wait_for(ran, 10) == Occurrence("crawl", due)
    await scheduler.drain(1)


def test_every_argument_of_asyncioscheduler_is_taken() -> None:
    """add_job and the like have the library's parameters, in the library's order."""
    names = (
        "add_job",
        "scheduled_job",
        "modify_job",
        "reschedule_job",
        "resume",
        "start",
        "remove_job",
    )
    for name in names:
        library = list(inspect.signature(getattr(AsyncIOScheduler, name)).parameters)
        added = {"allow_timezone", "replace_existing"} - set(library)
        ours = inspect.signature(getattr(KSTScheduler, name)).parameters
        assert [parameter for parameter in ours if parameter not in added] == library


def test_a_type_checker_knows_every_keyword_of_triggers_and_of_jobs() -> None:
    """What add_job and modify_job take as **keywords, APScheduler may add to."""
    triggers = (CronTrigger, IntervalTrigger, CalendarIntervalTrigger, DateTrigger)
    parameters = {name for trigger in triggers for name in inspect.signature(trigger).parameters}
    assert TriggerArguments.__annotations__.keys() == parameters
    scheduler = KSTScheduler()
    job = scheduler.add_job(crawl, cron(hour=3), id="crawl", next_run_time=None)
    fixed = {"id", "func_ref"}
    changeable = {name for name in Job.__slots__ if not name.startswith("_")} - fixed
    assert JobChanges.__annotations__.keys() == changeable
    unchanged: Any = {"misfire_grace_time": 1, "coalesce": True, "max_instances": 1}
    for name in changeable - unchanged.keys():
        scheduler.modify_job("crawl", **{name: getattr(job, name)})
    scheduler.modify_job("crawl", **unchanged)


def test_the_private_names_it_stands_on_are_there() -> None:
    """APScheduler may move its private names and its options; then this says so first."""
    source = inspect.getsource(BaseScheduler._configure)
    source += inspect.getsource(AsyncIOScheduler._configure)
    read = {name for name in OPTION_NAMES if f'config.pop("{name}"' in source}
    read |= {name for name in OPTION_NAMES if f'config.get("{name}"' in source}
    assert read == set(OPTION_NAMES)
    assert source.count("config.pop(") + source.count("config.get(") == len(OPTION_NAMES)
    assert source.count("job_defaults.get(") == 3
    assert list(inspect.signature(BaseScheduler._create_trigger).parameters) == [
        "self",
        "trigger",
        "trigger_args",
    ]
    assert list(inspect.signature(BaseScheduler._create_plugin_instance).parameters) == [
        "self",
        "type_",
        "alias",
        "constructor_kwargs",
    ]
    assert isinstance(AsyncIOScheduler()._executors, dict)


def test_an_interval_of_a_utc_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An IntervalTrigger is told by its zone, too, and every() is the repair."""
    monkeypatch.setattr("apscheduler.triggers.interval.get_localzone", lambda: ZoneInfo("UTC"))
    with pytest.raises(TimezoneError, match=r"write every\(hours=1\)"):
        KSTScheduler().add_job(crawl, IntervalTrigger(hours=1))
