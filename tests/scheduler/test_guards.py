from __future__ import annotations

import difflib
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import pytz
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ProcessPoolExecutor
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError, TimezoneError
from kst_scheduler.scheduler.guards import (
    check_awaited,
    check_moments,
    check_trigger,
    check_trigger_arguments,
    nearest,
)
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.factories import cron

if TYPE_CHECKING:
    from collections.abc import Collection

HOST = ZoneInfo("UTC")
FOREIGN = CronTrigger(hour=3, timezone="UTC")


class Wrapping(BaseTrigger):  # type: ignore[misc] # the library is untyped
    """A trigger around another one, as on_business_days makes."""

    def __init__(self, trigger: BaseTrigger) -> None:
        self.trigger = trigger

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> Any:
        """Fire when the trigger inside does."""
        return self.trigger.get_next_fire_time(previous_fire_time, now)


@pytest.mark.parametrize(
    "trigger",
    [
        OrTrigger([cron(hour=3), FOREIGN]),
        AndTrigger([FOREIGN]),
        Wrapping(FOREIGN),
        OrTrigger([cron(hour=4), Wrapping(OrTrigger([cron(hour=3), FOREIGN]))]),
    ],
)
def test_triggers_inside_triggers_are_looked_at(trigger: BaseTrigger) -> None:
    """The message is about the one that is wrong."""
    with pytest.raises(TimezoneError, match=r"^cron\[hour='3'\] is in the zone 'UTC'"):
        check_trigger(trigger, KST)
    check_trigger(Wrapping(OrTrigger([cron(hour=3)])), KST)


def test_a_trigger_that_may_search_for_ever_is_refused() -> None:
    """An AndTrigger of several, however deep; the message says what to write."""
    both = AndTrigger([cron(hour=3), cron(day_of_week="mon", hour=3)])
    for trigger in (both, OrTrigger([cron(hour=4), both])):
        with pytest.raises(InvalidArgumentError, match=r"for ever .* write one trigger"):
            check_trigger(trigger, KST)
    check_trigger(AndTrigger([cron(hour=3)]), KST)


def test_a_trigger_that_keeps_no_zone_passes() -> None:
    """Nothing is known against it."""

    class Now(BaseTrigger):  # type: ignore[misc] # the library is untyped
        def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> Any:
            return None if previous_fire_time else now

    check_trigger(Now(), KST)


@pytest.mark.parametrize(
    ("trigger", "repair"),
    [
        (CronTrigger(hour=3, minute=0, timezone="UTC"), "cron(hour=3, minute=0)"),
        (CronTrigger(day_of_week="mon,wed", hour="3-5"), "cron(day_of_week='mon,wed', hour='3-5')"),
        (IntervalTrigger(hours=1, timezone="UTC"), "every(hours=1)"),
        (IntervalTrigger(minutes=90, timezone="UTC"), "every(minutes=90)"),
        (IntervalTrigger(days=14, timezone="UTC"), "every(weeks=2)"),
        (IntervalTrigger(seconds=61, timezone="UTC"), "every(seconds=61)"),
        (DateTrigger(datetime(2099, 5, 10, 9, tzinfo=HOST)), "at(kst(2099, 5, 10, 9))"),
        (DateTrigger(datetime(2099, 5, 10, 9, 0, 5, tzinfo=HOST)), "at(kst(2099, 5, 10, 9, 0, 5))"),
        (
            CalendarIntervalTrigger(months=1, timezone="UTC"),
            "CalendarIntervalTrigger(..., timezone='Asia/Seoul')",
        ),
    ],
)
def test_the_message_says_what_to_write(trigger: BaseTrigger, repair: str) -> None:
    """The same trigger, by this package's functions."""
    if hasattr(trigger, "timezone"):
        trigger.timezone = UTC
    with pytest.raises(TimezoneError) as error:
        check_trigger(trigger, KST)
    assert f"write {repair}, or add allow_timezone='UTC'" in str(error.value)


def test_a_date_in_the_hosts_zone_may_mean_two_instants() -> None:
    """The message says what to write for either: the clock's 09:00 in Seoul, or that of the host.

    A host's zone has a name; so have those of zoneinfo that a reader writes, and at() is for them.
    """
    with pytest.raises(TimezoneError) as error:
        check_trigger(DateTrigger(datetime(2099, 5, 10, 9, tzinfo=HOST)), KST)
    assert "write at(kst(2099, 5, 10, 9)), or add allow_timezone='UTC'" in str(error.value)
    assert str(error.value).endswith("that zone is meant: that is at(kst(2099, 5, 10, 18))")


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-5))])
def test_a_date_with_an_offset_names_its_instant(zone: tzinfo) -> None:
    """No host has a zone without a name, so somebody wrote it."""
    check_trigger(DateTrigger(datetime(2099, 5, 10, 9, tzinfo=zone)), KST)


def test_the_repair_in_another_zone_names_it() -> None:
    """cron() and the like are Korean, so they are no repair on a scheduler in Tokyo."""
    with pytest.raises(TimezoneError, match=r"write CronTrigger\(\.\.\., timezone='Asia/Tokyo'\)"):
        check_trigger(cron(hour=3), ZoneInfo("Asia/Tokyo"))


def test_a_trigger_that_never_fires_again_has_no_times_in_its_message() -> None:
    """The rest of the message stands."""
    over = CronTrigger(hour=3, timezone="UTC", end_date=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(TimezoneError, match="keeps 'Asia/Seoul': A trigger object takes"):
        check_trigger(over, KST)


@pytest.mark.parametrize(
    "trigger",
    [
        DateTrigger(datetime(2099, 5, 10, 9, tzinfo=pytz.timezone("Asia/Seoul"))),
        CronTrigger(hour=3, start_date=datetime(2099, 5, 10, tzinfo=pytz.timezone("Asia/Seoul"))),
        IntervalTrigger(
            hours=1, end_date=datetime(2099, 5, 10, tzinfo=pytz.timezone("Asia/Seoul"))
        ),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_local_mean_time_is_refused(trigger: BaseTrigger) -> None:
    """A pytz zone as tzinfo= is 32 minutes off, and bears the right name."""
    with pytest.raises(NaiveDatetimeError, match="local mean time"):
        check_trigger(trigger, KST)


def test_only_datetimes_are_moments() -> None:
    """Dates and texts are read in the scheduler's zone, and None is no time at all."""
    check_moments({"run_date": "2099-05-10", "start_date": date(2099, 5, 10), "end_date": None})
    check_moments({"run_date": kst(2099, 5, 10)})


@pytest.mark.parametrize("timezone", ["UTC", UTC, pytz.utc, 9])
def test_another_zone_beside_a_string_trigger_is_refused(timezone: object) -> None:
    """In whatever form it is written."""
    with pytest.raises(TimezoneError, match="is not the zone of this scheduler, 'Asia/Seoul'"):
        check_trigger_arguments({"hour": 3, "timezone": timezone}, KST)


def test_an_unknown_zone_beside_a_string_trigger_is_refused() -> None:
    """As everywhere."""
    with pytest.raises(TimezoneError, match="unknown time zone 'Asia/Soul'"):
        check_trigger_arguments({"timezone": "Asia/Soul"}, KST)


async def crawl() -> None:
    """Stand for a job."""


def test_every_executor_that_cannot_await_is_known() -> None:
    """Pools of threads or processes, and the debug executor."""
    for executor in (ProcessPoolExecutor(1), DebugExecutor()):
        with pytest.raises(InvalidArgumentError, match=f"a {type(executor).__name__}, would call"):
            check_awaited("crawl", crawl, "pool", executor)
        check_awaited("print", print, "pool", executor)
    check_awaited("crawl", crawl, "default", AsyncIOExecutor())
    check_awaited("crawl", crawl, "default", None)


def test_the_nearest_name_is_offered() -> None:
    """Or all of them when none is near; a very long name is no burden."""
    assert nearest("max_instance", ["coalesce", "max_instances"]) == (
        "; did you mean 'max_instances'?"
    )
    assert nearest("x", ["b", "a"]) == "; it knows a, b"
    assert nearest("x" * 1_000_000, []) == "; it knows none"
    assert nearest("x", map(str, range(10_000, 12_000))).endswith(", 10049 and 1,950 more")


IDS = [
    f"crawl-nps-workplaces-members-of-region-{number:05d}-every-day-at-three-in-the-morning-{end}"
    for number, end in zip(
        range(2_000), ["x", "국민연금" * 100, "0" * 17, "%2F"] * 500, strict=True
    )
]


@pytest.mark.parametrize("place", [0, 3, 50, 85, -1])
@pytest.mark.parametrize("change", ["replaced", "left out", "doubled"])
def test_a_misspelt_name_is_found_among_many(
    place: int, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the mistake is; few of them are compared, as each costs the loop its time."""
    compared: list[int] = []
    original = difflib.get_close_matches

    def matches(word: str, known: Collection[str], n: int) -> list[str]:
        compared.append(len(known))
        assert all(len(each) <= 100 for each in [word, *known])
        return original(word, known, n)

    monkeypatch.setattr(difflib, "get_close_matches", matches)
    right = IDS[700]
    index = place % len(right)
    letter = {"replaced": "Z", "left out": "", "doubled": right[index] * 2}[change]
    misspelt = right[:index] + letter + right[index + 1 :]
    assert nearest(misspelt, IDS) == f"; did you mean {right!r}?"
    assert compared[0] <= 40
