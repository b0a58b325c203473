from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from in_loop import in_loop
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.reconcile import once_jobs
from kst_scheduler.once.reconcile.once_jobs import OnceJobs, fires_no_more, once_of
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.timezone import KST, UTC, kst
from kst_scheduler.triggers.factories import at, cron
from replicas import crawl_for
from shown_clock import clock_showing

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_AGO = kst(2020, 5, 10, 9)


def ids(jobs: OnceJobs) -> list[str]:
    """Return the ids of the jobs that there are."""
    return [job.id for job, _ in jobs.all()]


def test_how_a_job_is_run_once_can_be_told() -> None:
    """Also through bound arguments; a plain job is not run once."""
    scheduler, ledger = KSTScheduler(), MemoryLedger()
    job = once(ledger)(crawl_for(0))
    assert once_of(scheduler.add_job(job, cron(hour=3), id="a")) is job.once
    assert once_of(scheduler.add_job(partial(partial(job)), cron(hour=3), id="b")) is job.once
    assert once_of(scheduler.add_job(crawl_for(0), cron(hour=3))) is None


@in_loop
async def test_jobs_are_those_on_the_ledger() -> None:
    """Whether they were added before the start, or after it, or to another kind of scheduler."""
    for scheduler in (KSTScheduler(), AsyncIOScheduler(timezone=KST)):
        ledger, other = MemoryLedger(), MemoryLedger()
        jobs = OnceJobs(scheduler, ledger)
        scheduler.add_job(once(ledger)(crawl_for(0)), cron(hour=3), id="early")
        scheduler.start()
        scheduler.add_job(once(ledger)(crawl_for(0)), cron(hour=3), id="late")
        scheduler.add_job(once(other)(crawl_for(0)), cron(hour=3), id="other")
        assert ids(jobs) == ["early", "late"]
        scheduler.remove_job("early")
        assert ids(jobs) == ["late"]
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0)


@in_loop
async def test_a_one_shot_job_is_kept_when_its_date_has_gone_by() -> None:
    """APScheduler has removed it; adding one of that id again takes its place."""
    scheduler, ledger = KSTScheduler(), MemoryLedger()
    jobs = OnceJobs(scheduler, ledger)
    job = once(ledger)(crawl_for(0))
    scheduler.add_job(job, at(LONG_AGO), id="one-shot")
    scheduler.start()
    scheduler._process_jobs()
    assert scheduler.get_jobs() == []
    ((kept, once_job),) = jobs.all()
    assert (kept.id, once_job) == ("one-shot", job.once)
    assert jobs.is_over(kept)
    again = scheduler.add_job(job, at(kst(2099, 1, 1)), id="one-shot")
    assert ids(jobs) == ["one-shot"]
    assert not jobs.is_over(again)
    await scheduler.drain(1)


@pytest.mark.parametrize(("early", "is_over"), [(0, True), (1, False)])
@in_loop
async def test_a_job_is_over_in_the_very_microsecond_of_its_last_fire(
    monkeypatch: pytest.MonkeyPatch, early: int, *, is_over: bool
) -> None:
    """A clock of whole microseconds may show that still when the job leaves; not one before."""
    date = kst(2099, 1, 1)
    clock = clock_showing(lambda: date - early * timedelta(microseconds=1))
    scheduler, ledger = KSTScheduler(), MemoryLedger()
    jobs = OnceJobs(scheduler, ledger)
    scheduler.start()
    job = scheduler.add_job(once(ledger)(crawl_for(0)), at(date), id="one-shot")
    monkeypatch.setattr(once_jobs, "datetime", clock)
    job.remove()
    assert jobs.is_over(job) == is_over
    assert [removed for removed, _ in jobs.removed()] == ([] if is_over else [job])
    await scheduler.drain(1)


@in_loop
async def test_a_job_that_is_over_is_dropped_when_it_is_told() -> None:
    """So is nothing else."""
    scheduler, ledger = KSTScheduler(), MemoryLedger()
    jobs = OnceJobs(scheduler, ledger)
    scheduler.add_job(once(ledger)(crawl_for(0)), at(LONG_AGO), id="one-shot")
    scheduler.start()
    scheduler._process_jobs()
    ((job, _),) = jobs.all()
    jobs.drop(job)
    assert ids(jobs) == []
    jobs.drop(job)
    await scheduler.drain(1)


@in_loop
async def test_removed_jobs_are_gone() -> None:
    """One whose date is still to come, and all jobs at once."""
    scheduler, ledger = KSTScheduler(), MemoryLedger()
    jobs = OnceJobs(scheduler, ledger)
    scheduler.start()
    job = once(ledger)(crawl_for(0))
    scheduler.add_job(job, at(kst(2099, 1, 1)), id="one-shot").remove()
    assert ids(jobs) == []
    scheduler.add_job(job, cron(hour=3), id="daily")
    scheduler.remove_all_jobs()
    assert ids(jobs) == []
    await scheduler.drain(1)


def replace_job(scheduler: KSTScheduler) -> None:
    """Add the job again, as each start does where jobs are in a database."""
    job = scheduler.get_job("nps").func
    scheduler.add_job(job, cron(hour=4), id="nps", replace_existing=True)


def add_again(scheduler: KSTScheduler) -> None:
    """Add the job in the place of one that was removed."""
    job = scheduler.get_job("nps").func
    scheduler.remove_job("nps")
    scheduler.add_job(job, cron(hour=4), id="nps")


@pytest.mark.parametrize(
    "end",
    [
        lambda scheduler: scheduler.resume_job("nps"),
        lambda scheduler: scheduler.modify_job("nps", next_run_time=kst(2099, 1, 1)),
        replace_job,
        add_again,
    ],
    ids=["resume", "modify", "replace", "add again"],
)
@in_loop
async def test_each_pause_has_its_own_beginning(end: Callable[[KSTScheduler], object]) -> None:
    """However the one before ended: what was due between the two is not lost by the second."""
    scheduler, ledger = KSTScheduler(), MemoryLedger()
    jobs = OnceJobs(scheduler, ledger)
    scheduler.start()
    job = scheduler.add_job(once(ledger)(crawl_for(0)), cron(hour=3), id="nps")
    assert jobs.paused_at(job) is None
    job.pause()
    first = jobs.paused_at(job)
    scheduler.reschedule_job("nps", trigger=cron(hour=4))
    assert first is not None
    assert jobs.paused_at(job) == first
    end(scheduler)
    assert jobs.paused_at(job) is None
    before = datetime.now(UTC)
    scheduler.pause_job("nps")
    again = jobs.paused_at(job)
    assert again is not None
    assert again >= before
    await scheduler.drain(1)


@in_loop
async def test_it_stops_listening() -> None:
    """Nothing of it stays in the scheduler."""
    scheduler = KSTScheduler()
    before = list(scheduler._listeners)
    OnceJobs(scheduler, MemoryLedger()).close()
    assert scheduler._listeners == before


@pytest.mark.parametrize(
    "trigger",
    [at(LONG_AGO), cron(hour=9, end_date=LONG_AGO)],
    ids=["date", "cron with an end"],
)
def test_a_trigger_that_is_over_fires_no_more(trigger: object) -> None:
    """From just after its last fire time on."""
    job = KSTScheduler().add_job(once(MemoryLedger())(crawl_for(0)), trigger, id="nps")
    assert not fires_no_more(job, LONG_AGO)
    assert fires_no_more(job, LONG_AGO + timedelta(microseconds=1))
