"""Other right answers to the exercises of notebooks 00 to 03 than the solutions."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd
import pytest

from exercise_answers import judge
from kst_scheduler import kst
from kst_workbook.exercises import check
from kst_workbook.exercises.exercise import NotYetError
from kst_workbook.exercises.judging import require_moment

NOONS = [kst(2026, 5, 19, 12), kst(2026, 5, 20, 12), kst(2026, 5, 20, 12)]

RIGHT = [
    ("1.1", 'requirement = "APScheduler ~=3.11, >=3.11.3, !=3.12.0"'),
    (
        "2.2",
        """
        def register(scheduler):
            @scheduler.scheduled_job("cron", hour=3, id="daily-nps-crawl")
            async def daily_crawl():
                await crawl_nps()
        """,
    ),
    (
        "2.3",
        """
        async def serve(scheduler, stop):
            scheduler.start()
            while not stop.is_set():
                await asyncio.sleep(1)
            await scheduler.drain(3600)
        """,
    ),
    ("3.1", 'trigger = crontab("30 8 * * 1-5")'),
    ("3.1", 'trigger = CronTrigger(day_of_week="0-4", hour=8, minute=30, timezone=KST)'),
    ("3.2", 'moved = crontab("30 18 * * 0-4")'),
    (
        "3.3",
        """
        def register_renewal(scheduler):
            trigger = IntervalTrigger(minutes=90, start_date=kst(2026, 5, 1), timezone=KST)
            scheduler.add_job(crawl_nps, trigger, id="renew-token")
        """,
    ),
    (
        "3.4",
        """
        mondays = CronTrigger(day="1st mon", hour=9, timezone=KST)
        meeting = on_business_days(mondays, BusinessDays(), "next")
        """,
    ),
    (
        "3.5",
        """
        payroll = {
            "closing": on_business_days(cron(day="last", hour=18), otherwise="previous"),
            "transfer": on_business_days(
                cron(day=25, hour=10), otherwise="previous"
            ),
        }
        """,
    ),
]


@pytest.mark.parametrize(("number", "code"), RIGHT)
def test_what_does_the_same_is_right(number: str, code: str) -> None:
    """It is judged by what it does, and not by how it is written."""
    verdict = judge(number, code)
    assert verdict.outcome == "right", verdict


@pytest.mark.parametrize(
    "starts",
    [tuple(reversed(NOONS)), pd.DatetimeIndex(NOONS).tz_convert("UTC"), pd.Series(NOONS)],
    ids=["a tuple", "an index in UTC", "a series"],
)
def test_equal_moments_are_right_in_any_order_type_and_zone(starts: Any) -> None:
    """A list of datetimes on Korean time is but one way to write them."""
    assert check("0.1", starts).outcome == "right"


@pytest.mark.parametrize(
    ("value", "words"),
    [(3, "`3`, an int. Expected a moment"), (pd.NaT, "in no zone")],
)
def test_a_moment_in_a_zone_is_asked_for(value: Any, words: str) -> None:
    """And what the reader has written instead is shown."""
    with pytest.raises(NotYetError, match=words):
        require_moment(value, "`starts`")


def test_a_service_that_exits_leaves_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The verdict has the error; asyncio would log it a second time."""
    with caplog.at_level(logging.ERROR):
        verdict = judge("2.3", "async def serve(scheduler, stop):\n    raise SystemExit(3)")
    assert "SystemExit: 3" in verdict.message
    assert not caplog.records
