from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
import pytz
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.business_days import on_business_days
from kst_scheduler.triggers.factories import at, cron, crontab, every
from kst_scheduler.triggers.wording import describe, preview

NOW = kst(2026, 5, 10, 12)  # a Sunday


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (cron(day_of_week="mon-fri", hour=3), "every weekday at 03:00 KST"),
        (cron(minute=0), "every hour, on the hour, KST"),
        (cron(minute=30), "every hour at :30 KST"),
        (cron(minute="*/10"), "every 10 minutes, KST"),
        (
            cron(day_of_week="mon-fri", hour="9-17", minute="*/10"),
            "every weekday, every 10 minutes from 09:00 to 17:50 KST",
        ),
        (cron(hour=3, timezone="America/New_York"), "every day at 03:00 America/New_York"),
        (cron(minute=0, timezone="UTC"), "every hour, on the hour, UTC"),
        (cron(hour=3, timezone=pytz.timezone("Asia/Seoul")), "every day at 03:00 KST"),
        (
            cron(hour=3, start_date=kst(2026, 6, 1), end_date=datetime(2026, 7, 1, tzinfo=UTC)),
            "every day at 03:00 KST, from 2026-06-01 00:00 KST, until 2026-07-01 09:00 KST",
        ),
        (cron(hour=3, jitter=30), "every day at 03:00 KST, each up to 30 s late"),
        (every(hours=1), "every hour, on the hour, KST"),
        (every(hours=6), "every day at 00:00, 06:00, 12:00 and 18:00 KST"),
        (every(minutes=90), "every 90 minutes, KST"),
        (every(days=1), "every day at 00:00 KST"),
        (every(hours=5), "every 5 hours, counted from Monday 2001-01-01 00:00 KST"),
        (every(weeks=2), "every 2 weeks, counted from Monday 2001-01-01 00:00 KST"),
        (
            every(hours=1, anchor=kst(2026, 6, 1, 0, 7)),
            "every hour at :07 KST, from 2026-06-01 00:07 KST",
        ),
        (
            every(hours=12, timezone="America/New_York", end_date=kst(2027, 1, 1)),
            (
                "every 12 hours, counted from Sunday 2000-12-31 10:00 America/New_York, "
                "until 2026-12-31 10:00 America/New_York"
            ),
        ),
        (
            IntervalTrigger(seconds=0.5, start_date=kst(2026, 1, 1), timezone=KST),
            "every 0.5 seconds, counted from Thursday 2026-01-01 00:00 KST",
        ),
        (at(kst(2026, 5, 10, 9)), "once, on 2026-05-10 at 09:00 KST"),
        (at(kst(2026, 5, 10, 9, 0, 0, 1)), "once, on 2026-05-10 at 09:00:00.000001 KST"),
        (at(datetime(2026, 5, 10, 9, tzinfo=UTC)), "once, on 2026-05-10 at 09:00 UTC"),
        (
            at(datetime(2026, 5, 10, 9, tzinfo=timezone(timedelta(hours=9)))),
            "once, on 2026-05-10 at 09:00 UTC+09:00",
        ),
        (
            crontab("0 0 1,15 * 5"),
            "on days 1 and 15 of every month at 00:00 KST, or every Friday at 00:00 KST",
        ),
        (
            OrTrigger([cron(hour=3), at(kst(2026, 5, 10, 9))], jitter=5),
            "every day at 03:00 KST, or once, on 2026-05-10 at 09:00 KST, each up to 5 s late",
        ),
        (
            AndTrigger([cron(hour=3), cron(day=1, hour=3)]),
            (
                "whenever all of these fire: every day at 03:00 KST; "
                "on day 1 of every month at 03:00 KST"
            ),
        ),
        (
            on_business_days(cron(hour=3)),
            "every Korean business day at 03:00 KST",
        ),
        (
            on_business_days(cron(minute="*/10")),
            "every Korean business day, every 10 minutes, KST",
        ),
        (
            on_business_days(cron(day_of_week="mon-fri", hour=3)),  # a calendar may add a Saturday
            "every weekday at 03:00 KST, if that day is a Korean business day",
        ),
        (
            on_business_days(cron(day=1, hour=9)),
            "on day 1 of every month at 09:00 KST, if that day is a Korean business day",
        ),
        (
            on_business_days(cron(day=1, hour=9), otherwise="next"),
            (
                "on day 1 of every month at 09:00 KST, "
                "moved to the next Korean business day from a day off"
            ),
        ),
        (
            on_business_days(cron(day=25, hour=9), otherwise="previous"),
            (
                "on day 25 of every month at 09:00 KST, "
                "moved to the previous Korean business day from a day off"
            ),
        ),
        (
            on_business_days(cron(hour=18), nth_of_month=-1),
            "on the last Korean business day of every month at 18:00 KST",
        ),
        (
            on_business_days(cron(hour=9, minute=30), nth_of_month=1),
            "on the 1st Korean business day of every month at 09:30 KST",
        ),
        (
            on_business_days(every(hours=6), nth_of_month=3),
            ("on the 3rd Korean business day of every month at 00:00, 06:00, 12:00 and 18:00 KST"),
        ),
        (
            on_business_days(every(minutes=90), nth_of_month=-2),
            "on the 2nd to last Korean business day of every month, every 90 minutes, KST",
        ),
        (
            on_business_days(cron(hour=9, end_date=kst(2027, 1, 1)), nth_of_month=5),
            (
                "on the 5th Korean business day of every month at 09:00 KST, "
                "until 2027-01-01 00:00 KST"
            ),
        ),
        (
            on_business_days(cron(hour=9, timezone="America/New_York"), nth_of_month=1),
            "on the 1st Korean business day of every month at 09:00 America/New_York",
        ),
        (
            on_business_days(cron(day_of_week="mon-fri", hour=9), nth_of_month=1),
            ("every weekday at 09:00 KST, if that day is the 1st Korean business day of the month"),
        ),
        (
            on_business_days(cron(month="6,12", hour=9), nth_of_month=-1),
            (
                "every day in June and December at 09:00 KST, "
                "if that day is the last Korean business day of the month"
            ),
        ),
        (
            on_business_days(every(hours=5), nth_of_month=-1),
            (
                "every 5 hours, counted from Monday 2001-01-01 00:00 KST, "
                "if that day is the last Korean business day of the month"
            ),
        ),
    ],
)
def test_a_trigger_is_a_sentence(trigger: BaseTrigger, expected: str) -> None:
    """As a person would say it, and with its zone."""
    assert describe(trigger) == expected


def test_a_plain_cron_trigger_is_described_with_the_zone_it_has() -> None:
    """The library's own, built on a host in New York."""
    trigger = CronTrigger(hour=3, timezone="America/New_York")
    assert describe(trigger) == "every day at 03:00 America/New_York"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"months": 1, "hour": 9}, "every month at 09:00 KST, counted from Thursday 2026-01-01"),
        (
            {"months": 1, "start_date": date(2026, 1, 31)},
            (
                "every month at 00:00 KST, counted from Saturday 2026-01-31, "
                "left out where a month has no day 31"
            ),
        ),
        (
            {"years": 1, "start_date": date(2026, 1, 31)},
            "every year at 00:00 KST, counted from Saturday 2026-01-31",
        ),
        (
            {"years": 1, "start_date": date(2028, 2, 29)},
            (
                "every year at 00:00 KST, counted from Tuesday 2028-02-29, "
                "left out where a month has no day 29"
            ),
        ),
        (
            {"weeks": 2, "hour": 3, "minute": 30, "end_date": date(2026, 12, 31)},
            "every 2 weeks at 03:30 KST, counted from Thursday 2026-01-01, until 2026-12-31",
        ),
        (
            {"years": 1, "months": 2, "days": 3, "start_date": date(2026, 1, 31), "second": 5},
            "every 1 year, 2 months and 3 days at 00:00:05 KST, counted from Saturday 2026-01-31",
        ),
        (
            {"days": 1, "hour": 3, "timezone": "America/New_York", "jitter": 30},
            (
                "every day at 03:00 America/New_York, counted from Thursday 2026-01-01, "
                "each up to 30 s late"
            ),
        ),
    ],
)
def test_a_calendar_interval_is_a_sentence(arguments: dict[str, Any], expected: str) -> None:
    """Its clock time, the day that it counts from, and the months that have no such day."""
    start = {"start_date": date(2026, 1, 1), "timezone": KST}
    assert describe(CalendarIntervalTrigger(**(start | arguments))) == expected


def test_other_triggers_show_their_own_text() -> None:
    """One of the reader's own."""

    class Mine(BaseTrigger):  # type: ignore[misc] # APScheduler ships no types
        def get_next_fire_time(self, *_: datetime | None) -> None:
            return None

        def __str__(self) -> str:
            return "mine"

    assert preview(Mine(), now=NOW) == "mine, never again"


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (
            cron(day_of_week="mon-fri", hour=3),
            (
                "every weekday at 03:00 KST, "
                "next: Mon 11 May 03:00, Tue 12 May 03:00, Wed 13 May 03:00"
            ),
        ),
        (
            cron(month="1,7", day=1),
            (
                "on day 1 of January and July at 00:00 KST, "
                "next: Wed 1 Jul 00:00, Fri 1 Jan 2027 00:00, Thu 1 Jul 2027 00:00"
            ),
        ),
        (
            cron(second="*/40"),
            (
                "every day at seconds 0 and 40 of every minute, KST, "
                "next: Sun 10 May 12:00, Sun 10 May 12:00:40, Sun 10 May 12:01"
            ),
        ),
        (
            at(kst(2026, 5, 10, 12)),
            "once, on 2026-05-10 at 12:00 KST, next: Sun 10 May 12:00, then never again",
        ),
        (at(kst(2026, 5, 10, 11)), "once, on 2026-05-10 at 11:00 KST, never again"),
        (
            CalendarIntervalTrigger(months=1, start_date=date(2026, 1, 1), timezone=KST),
            (
                "every month at 00:00 KST, counted from Thursday 2026-01-01, "
                "next: Mon 1 Jun 00:00, Wed 1 Jul 00:00, Sat 1 Aug 00:00"
            ),
        ),
    ],
)
def test_a_preview_adds_the_next_times(trigger: BaseTrigger, expected: str) -> None:
    """From now on, whatever a trigger answers about the past; years only where they differ."""
    assert preview(trigger, now=NOW) == expected


def test_a_preview_counts() -> None:
    """As many as asked for, on the clock of the trigger's zone."""
    trigger = cron(hour=3, timezone="America/New_York")
    assert preview(trigger, count=1, now=NOW).endswith("New_York, next: Sun 10 May 03:00")


def test_a_preview_begins_at_the_present() -> None:
    """Without now= the real clock is read."""
    day = (datetime.now(KST) + timedelta(days=2)).replace(microsecond=0)
    assert "next: " in preview(at(day))
    assert preview(at(day - timedelta(days=4))).endswith("never again")


def test_a_naive_now_is_refused() -> None:
    """Its 12:00 would be the host's."""
    with pytest.raises(NaiveDatetimeError, match=r"^now=datetime"):
        preview(cron(hour=3), now=datetime(2026, 5, 10))  # noqa: DTZ001


@pytest.mark.parametrize("count", [0, -1])
def test_a_preview_of_nothing_is_refused(count: Any) -> None:
    """The message shows a count that works."""
    with pytest.raises(InvalidArgumentError, match=rf"^count={count} shows no fire time; write"):
        preview(cron(hour=3), count=count, now=NOW)


def test_a_preview_shows_nominal_times() -> None:
    """Jitter is drawn anew at each call, so the sentence names it and the times leave it out."""
    trigger = cron(hour=3, jitter=3_000)
    shown = preview(trigger, 1, kst(2026, 5, 10))
    assert shown == "every day at 03:00 KST, each up to 3000 s late, next: Sun 10 May 03:00"
    assert trigger.jitter == 3_000
