"""A schedule that ends is refused, wherever the answer says it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler import KST, KSTScheduler, cron, every, kst, on_business_days
from kst_workbook.exercises.exercise import NotYetError
from kst_workbook.exercises.lasting import lasting_jobs, refuse_end

ENDS = [
    cron(year=2026, hour=3),
    cron(year="2026-2031", hour=3),
    on_business_days(cron(year=2026, hour=3)),
    OrTrigger([cron(hour=3), cron(year=2026, hour=4)]),
    AndTrigger([cron(hour=3), CronTrigger(end_date=kst(2027, 1, 1), timezone=KST)]),
    IntervalTrigger(hours=1, start_date=kst(2026, 1, 1), end_date=kst(2030, 1, 1), timezone=UTC),
]
LASTS = [
    cron(hour=3),
    cron(month=2, day=29),
    CronTrigger(hour=3, jitter=60, timezone=KST),
    every(minutes=90),
    on_business_days(cron(hour=18), nth_of_month=-1),
    DateTrigger(kst(2026, 5, 10)),
]


@pytest.mark.parametrize("trigger", ENDS, ids=repr)
def test_a_trigger_that_ends_is_refused(trigger: Any) -> None:
    """Also where only a part of it ends."""
    with pytest.raises(NotYetError, match=r"^`nightly` ends"):
        refuse_end(trigger, "`nightly`")


@pytest.mark.parametrize("trigger", LASTS, ids=repr)
def test_one_that_lasts_is_not(trigger: Any) -> None:
    """Nor a date: nobody takes it for a schedule."""
    refuse_end(trigger, "`nightly`")


@pytest.mark.parametrize(
    "add",
    [
        lambda scheduler: scheduler.add_job(print, ENDS[0], id="nps"),
        lambda scheduler: scheduler.add_job(print, "cron", year=2026, id="nps"),
        lambda scheduler: scheduler.scheduled_job(ENDS[0], id="nps")(print),
        lambda scheduler: scheduler.add_job(print, LASTS[0], id="nps").modify(trigger=ENDS[0]),
        lambda scheduler: scheduler.add_job(print, LASTS[0], id="nps").reschedule(ENDS[0]),
        lambda scheduler: (
            scheduler.add_job(print, LASTS[0], id="nps"),
            scheduler.reschedule_job("nps", trigger=ENDS[0]),
        ),
    ],
)
@pytest.mark.parametrize("scheduler", [KSTScheduler, lambda: BackgroundScheduler(timezone=KST)])
def test_a_scheduler_is_watched(add: Any, scheduler: Any) -> None:
    """Whichever way it gets its job; and it is as before when the block is over."""
    before = BaseScheduler.add_job, BaseScheduler.modify_job
    with pytest.raises(NotYetError, match="The trigger of `nps` ends"), lasting_jobs():
        add(scheduler())
    assert (BaseScheduler.add_job, BaseScheduler.modify_job) == before


def test_what_the_judge_says_goes_first() -> None:
    """Where something else is wrong, too."""

    def judge() -> None:
        KSTScheduler().add_job(print, ENDS[0], id="nps")
        raise NotYetError("nobody crawls")

    with pytest.raises(NotYetError, match="nobody crawls"), lasting_jobs():
        judge()
