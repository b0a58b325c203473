from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import TriggerWarning, cron
from kst_scheduler.triggers.named_triggers import named_trigger

if TYPE_CHECKING:
    from collections.abc import Callable


async def crawl() -> None:
    """Stand for a job."""


def named(name: str, **arguments: Any) -> Any:
    """Return a trigger as KSTScheduler makes it."""
    return named_trigger(name, arguments, KST, AsyncIOScheduler()._create_trigger)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no field, so it would fire every second"),
        ({"hour": 25}, r"cron\(hour=25\) is not understood"),
        ({"day_of_week": "mon-fri/2"}, "the end of 'mon-fri/2' would be ignored"),
        ({"month": 2, "day": 30}, "never fires"),
        ({"hour": 3, "jitter": -1}, "before its time"),
        (
            {"hour": 3, "start_date": kst(2026, 5, 11), "end_date": kst(2026, 5, 10)},
            "lies before start_date",
        ),
        ({"hour": 3, "start_date": "2026-05-11", "end_date": "2026-05-10"}, "lies before start"),
    ],
)
def test_a_cron_by_name_is_checked_as_cron_is(arguments: dict[str, Any], message: str) -> None:
    """What cron() refuses."""
    with pytest.raises(InvalidArgumentError, match=message):
        named("cron", **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "none of weeks, days, hours, minutes, seconds, so it would fire every second"),
        ({"hours": 0}, "would fire every second"),
        ({"hours": -1}, "never move on"),
        ({"seconds": 0.5}, "whole seconds"),
        ({"hours": 1, "jitter": -1}, "before its time"),
        ({"hours": 1, "start_date": "2026-05-11", "end_date": date(2026, 5, 10)}, "lies before"),
    ],
)
def test_an_interval_by_name_is_checked_as_every_is(
    arguments: dict[str, Any], message: str
) -> None:
    """What every() refuses."""
    with pytest.raises(InvalidArgumentError, match=message):
        named("interval", **arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cron", {"hour": 3, "minute": "*/5", "start_date": "2026-05-10", "jitter": 3}),
        ("cron", {"hour": "3", "end_date": datetime(2026, 5, 10, tzinfo=UTC)}),
        ("interval", {"hours": 1, "start_date": date(2026, 5, 10), "jitter": 3}),
        ("interval", {"minutes": 90, "start_date": "2026-05-10 09:00:00"}),
        ("date", {"run_date": "2026-05-10 09:00:00"}),
        ("calendarinterval", {"months": 1, "start_date": "2026-05-10"}),
    ],
)
def test_what_passes_is_apschedulers_own(name: str, arguments: dict[str, Any]) -> None:
    """The same trigger as AsyncIOScheduler makes of the same words."""
    trigger, own = named(name, **arguments), AsyncIOScheduler(timezone=KST)._create_trigger
    expected = own(name, dict(arguments))
    assert type(trigger) is type(expected)
    # A field object of a cron trigger has no equality, only its text.
    assert repr(trigger) == repr(expected)
    assert getattr(trigger, "jitter", 0) == getattr(expected, "jitter", 0)


def test_a_field_left_open_is_warned_of_at_the_callers_line() -> None:
    """As for cron(), however deep the call: hour=3, second=0 fires 60 times."""
    scheduler = KSTScheduler()
    job = scheduler.add_job(crawl, cron(hour=4), id="added")
    fields: Any = {"hour": 3, "second": 0}
    calls: list[Callable[[], object]] = [
        lambda: cron(hour=3, second=0),
        lambda: scheduler.add_job(crawl, "cron", **fields, id="added"),
        lambda: scheduler.scheduled_job("cron", **fields, id="decorated")(crawl),
        lambda: scheduler.reschedule_job("added", trigger="cron", **fields),
        lambda: job.reschedule("cron", **fields),
    ]
    for call in calls:
        with pytest.warns(TriggerWarning, match="fires 60 times an hour") as caught:
            call()
        assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("name", ["cron", "interval"])
def test_an_argument_that_no_trigger_has_is_refused(name: str) -> None:
    """As in APScheduler, a TypeError that names it."""
    with pytest.raises(TypeError, match="'idd'"):
        named(name, idd="crawl")


def test_naive_dates_are_still_refused() -> None:
    """By the scheduler, which names the argument."""
    naive = datetime(2026, 5, 10)  # noqa: DTZ001 - what is to be refused
    for name in ("cron", "interval"):
        with pytest.raises(NaiveDatetimeError, match="start_date="):
            KSTScheduler().add_job(crawl, name, start_date=naive)
