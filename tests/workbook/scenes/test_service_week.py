"""Each of the eight faults is found by what it does, whatever others there are beside it."""

from __future__ import annotations

import asyncio
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.scheduler.executor import OccurrenceExecutor
from kst_scheduler.triggers.factories import cron, every
from kst_workbook.exercises.questions.e10_3_a_service_without_faults import repaired
from kst_workbook.scenes.broken_service import (
    copy_database,
    crawl_nps,
    register,
    renew_token,
    send_report,
    shared_redis,
)
from kst_workbook.scenes.service_week import findings, one_week

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.asyncio import AsyncIOScheduler

SYMPTOMS = {
    "zone": "`daily-nps-crawl` is wanted at 03:00 in Korea, every night. It was due 7 times",
    "lock": "it crawled nothing",
    "swallowed": "Its run is `ok`",
    "second": "`morning-report` is wanted at 06:00 in Korea, once a day. It was due 420 times",
    "phase": "`backup` is wanted at 00:00, 08:00 and 16:00 in Korea. It was due",
    "blocking": "the event loop stood still for 0:03:00",
    "awaited": "`hourly-token` started 16",
    "grace": "and yet runs were lost",
}
"""A part of what each fault's finding says."""


def service(*faults: str) -> Callable[[AsyncIOScheduler], None]:
    """Return a register function that has these of the eight faults, and no other."""

    async def crawl() -> None:
        try:
            await crawl_nps()
        except ConnectionError:
            if "swallowed" not in faults:
                raise

    async def locked_for_ever() -> None:
        if await shared_redis().set("lock", "taken", nx=True):
            try:
                await crawl()
            finally:
                await shared_redis().delete("lock")

    async def locked() -> None:
        async with redis_lock("lock", ttl=600, client=shared_redis()):
            await crawl()

    async def blocking() -> None:
        copy_database()

    def register(scheduler: AsyncIOScheduler) -> None:
        late = {} if "grace" in faults else {"misfire_grace_time": 300}
        jobs: dict[str, tuple[Callable[[], Any], Any]] = {
            "daily-nps-crawl": (
                locked_for_ever if "lock" in faults else locked,
                CronTrigger(hour=3, minute=0) if "zone" in faults else cron(hour=3, minute=0),
            ),
            "morning-report": (
                send_report,
                CronTrigger(hour=6, second=0, timezone="Asia/Seoul")
                if "second" in faults
                else cron(hour=6, minute=0),
            ),
            "backup": (
                blocking if "blocking" in faults else copy_database,
                IntervalTrigger(hours=8) if "phase" in faults else every(hours=8),
            ),
            "hourly-token": (
                (lambda: renew_token()) if "awaited" in faults else renew_token,  # noqa: PLW0108
                cron(minute=30),
            ),
        }
        for job_id, (function, trigger) in jobs.items():
            scheduler.add_job(function, trigger, id=job_id, **late)

    return register


def found(register: Callable[[AsyncIOScheduler], object]) -> set[str]:
    """Return the faults that a week finds; each finding is one of the eight."""
    named = []
    for finding in findings(one_week(register)):
        (fault,) = [fault for fault, part in SYMPTOMS.items() if part in finding]
        named.append(fault)
    assert len(named) == len(set(named)), "a fault was found twice"
    return set(named)


def test_the_service_as_it_stands_has_all_eight() -> None:
    """And no ninth."""
    assert found(register) == set(SYMPTOMS)


def test_the_repaired_service_has_none() -> None:
    """The exercise's solution, and a service of the test's own."""
    assert found(repaired) == set()
    assert found(service()) == set()


@pytest.mark.parametrize("fault", SYMPTOMS)
def test_a_single_fault_is_the_only_finding(fault: str) -> None:
    """It does not show under another fault's name, and does not hide behind another."""
    assert found(service(fault)) == {fault}


@pytest.mark.parametrize("fault", SYMPTOMS)
def test_a_single_repair_leaves_the_other_seven(fault: str) -> None:
    """Whichever is first."""
    others = set(SYMPTOMS) - {fault}
    assert found(service(*others)) == others


@pytest.mark.parametrize("faults", list(combinations(SYMPTOMS, 3))[::9])
def test_five_repairs_leave_three_findings(faults: tuple[str, ...]) -> None:
    """A partial repair lists what is left, and nothing else."""
    assert found(service(*faults)) == set(faults)


def with_crawl(crawl: Callable[[], Any], **options: Any) -> Callable[[AsyncIOScheduler], None]:
    """Return a service without faults, but for this crawl."""

    def register(scheduler: AsyncIOScheduler) -> None:
        repaired(scheduler)
        job = {"trigger": cron(hour=3, minute=0), "id": "daily-nps-crawl"}
        scheduler.add_job(crawl, **job, misfire_grace_time=300, replace_existing=True, **options)

    return register


def messages(crawl: Callable[[], Any]) -> list[str]:
    """Return the findings of a service with this crawl."""
    return findings(one_week(with_crawl(crawl)))


def test_without_a_lock_the_second_replica_crawls_as_well() -> None:
    """To throw the lock away is no repair."""
    (finding,) = messages(crawl_nps)
    assert "One crawl is wanted; 2 began: Mon 11 May 03:00 on A, Mon 11 May 03:00 on B" in finding


def test_a_lock_that_waits_crawls_twice() -> None:
    """One after the other."""

    async def waiting() -> None:
        async with redis_lock("lock", ttl=600, wait=3600, client=shared_redis()):
            await crawl_nps()

    (finding,) = messages(waiting)
    assert "2 began: Mon 11 May 03:00 on A, Mon 11 May 03:06 on B" in finding


def test_a_lock_with_an_hour_to_live_is_a_repair() -> None:
    """Whatever lets the next night crawl."""

    async def an_hour() -> None:
        if not await shared_redis().set("lock", "taken", nx=True, ex=3600):
            return
        try:
            await crawl_nps()
        finally:
            await shared_redis().delete("lock")

    assert messages(an_hour) == []


def test_a_claimed_row_is_a_repair() -> None:
    """Notebook 09's way, on the executor that tells a job which occurrence it runs."""
    ledger = MemoryLedger()

    def register(scheduler: AsyncIOScheduler) -> None:
        scheduler.add_executor(OccurrenceExecutor(), "occurrences")
        with_crawl(once(ledger)(crawl_nps), executor="occurrences")(scheduler)

    assert findings(one_week(register)) == []


def test_a_job_that_raises_is_told_by_its_error() -> None:
    """With the error of the last run, and how the runs ended."""

    async def raising() -> None:
        raise NameError("name 'crawl' is not defined")

    first, second = messages(raising)
    assert "started 7 times, and 7 times it crawled nothing" in first
    assert "7 `error` (NameError" in first
    assert "0 began: none at all" in second


def test_a_job_that_is_gone_is_missed() -> None:
    """Its id is how the week knows it."""

    def without(scheduler: AsyncIOScheduler) -> None:
        repaired(scheduler)
        scheduler.remove_job("backup")

    assert findings(one_week(without)) == [
        "`backup` was never due. It is wanted at 00:00, 08:00 and 16:00 in Korea; keep its id."
    ]


def test_a_job_that_waits_for_ever_is_found() -> None:
    """A lock that is waited for without end, after its owner has crashed."""

    async def for_ever() -> None:
        while not await shared_redis().set("lock", "taken", nx=True):  # noqa: ASYNC110
            await asyncio.sleep(600)
        try:
            await crawl_nps()
        finally:
            await shared_redis().delete("lock")

    first, _second = messages(for_ever)
    assert "it crawled nothing" in first
    assert "1 `running`" in first
