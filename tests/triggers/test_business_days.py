import pickle
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from kst_scheduler.errors import InvalidArgumentError, TimezoneError
from kst_scheduler.timezone import KST, kst
from kst_scheduler.triggers.business_days import (
    SEARCH_YEARS,
    BusinessDayTrigger,
    Otherwise,
    on_business_days,
)
from kst_scheduler.triggers.factories import at, cron, every
from kst_scheduler.triggers.holidays import BusinessDays

NEW_YORK = ZoneInfo("America/New_York")
ONE_DAY = timedelta(days=1)
OTHERWISE: list[Otherwise] = ["skip", "next", "previous"]


def _fires(trigger: Any, now: datetime, end: datetime) -> list[datetime]:
    found = []
    fire = trigger.get_next_fire_time(None, now)
    while fire is not None and fire < end:
        found.append(fire)
        fire = trigger.get_next_fire_time(fire, fire)
    return found


def _clocks(fires: list[datetime]) -> list[str]:
    return [f"{fire:%m-%d %H:%M}" for fire in fires]


def test_a_fire_on_a_day_off_is_dropped() -> None:
    """The week of Chuseok 2026: Thursday to Saturday are holidays."""
    trigger = on_business_days(cron(hour=3))
    found = _fires(trigger, kst(2026, 9, 22), kst(2026, 9, 30))
    assert _clocks(found) == ["09-22 03:00", "09-23 03:00", "09-28 03:00", "09-29 03:00"]


def test_a_fire_on_a_day_off_moves_to_the_next_business_day() -> None:
    """The first of a month at 09:00, where 1 January, 1 May and some weekends are off."""
    trigger = on_business_days(cron(day=1, hour=9), otherwise="next")
    found = _fires(trigger, kst(2026, 1, 1), kst(2026, 7, 1))
    assert _clocks(found) == [
        "01-02 09:00",
        "02-02 09:00",
        "03-03 09:00",  # the 1st is a Sunday and a holiday, the 2nd its substitute
        "04-01 09:00",
        "05-04 09:00",
        "06-01 09:00",
    ]


def test_a_payday_is_the_25th_or_the_business_day_before() -> None:
    """In 2026 it falls on weekends in January, April, July and October, on holidays twice more."""
    trigger = on_business_days(cron(day=25, hour=9), otherwise="previous")
    assert _clocks(_fires(trigger, kst(2026, 1, 1), kst(2027, 1, 1))) == [
        "01-23 09:00",  # the 25th is a Sunday
        "02-25 09:00",
        "03-25 09:00",
        "04-24 09:00",  # a Saturday
        "05-22 09:00",  # a Monday, the substitute of Buddha's birthday on Sunday
        "06-25 09:00",
        "07-24 09:00",  # a Saturday
        "08-25 09:00",
        "09-23 09:00",  # Chuseok, on Friday; its Thursday is a holiday as well
        "10-23 09:00",  # a Sunday
        "11-25 09:00",
        "12-24 09:00",  # Christmas
    ]


def test_the_last_business_day_of_a_month() -> None:
    """The same days, whichever way it is said; in May 2026 the 29th, as the 30th is a Saturday."""
    trigger = on_business_days(cron(hour=18), nth_of_month=-1)
    span = kst(2026, 1, 1), kst(2028, 1, 1)
    found = _fires(trigger, *span)
    assert _clocks(found)[:6] == [
        "01-30 18:00",
        "02-27 18:00",
        "03-31 18:00",
        "04-30 18:00",
        "05-29 18:00",
        "06-30 18:00",
    ]
    assert len(found) == 24
    moved = on_business_days(cron(day="last", hour=18), otherwise="previous")
    assert _fires(moved, *span) == found
    first = on_business_days(cron(hour=18), nth_of_month=1)
    assert _fires(first, *span) == _fires(
        on_business_days(cron(day=1, hour=18), otherwise="next"), *span
    )


def test_a_month_with_fewer_business_days_has_no_such_day() -> None:
    """Of 2026 only July, by its extra Friday, and December have a 22nd; July 2025 had a 23rd."""
    days = BusinessDays()
    counts = {
        month: sum(days.is_business_day(date(2026, month, 1) + place * ONE_DAY)
                   for place in range(31)
                   if (date(2026, month, 1) + place * ONE_DAY).month == month)
        for month in range(1, 13)
    }  # fmt: skip
    trigger = on_business_days(cron(hour=3), nth_of_month=22)
    found = _fires(trigger, kst(2026, 1, 1), kst(2027, 1, 1))
    assert {fire.month for fire in found} == {month for month, days in counts.items() if days >= 22}
    never = on_business_days(cron(hour=3), nth_of_month=23)
    assert never.get_next_fire_time(None, kst(2025, 1, 1)) == kst(2025, 7, 31, 3)
    assert never.get_next_fire_time(None, kst(2026, 1, 1)) is None


def test_a_start_between_the_day_that_it_was_moved_to_and_its_own() -> None:
    """On Friday at 10:00 the run of 09:00 is over: a month's is past, a single one is late."""
    now = kst(2026, 5, 22, 10)
    payday = on_business_days(cron(day=25, hour=9), otherwise="previous")
    assert payday.get_next_fire_time(None, now) == kst(2026, 6, 25, 9)
    once = on_business_days(at(kst(2026, 5, 25, 9)), otherwise="previous")
    for moment in (kst(2026, 5, 1), now, kst(2026, 6, 1)):
        assert once.get_next_fire_time(None, moment) == kst(2026, 5, 22, 9)
    assert once.get_next_fire_time(kst(2026, 5, 22, 9), now) is None


def test_fires_that_meet_are_one() -> None:
    """A daily job that moves runs once on Monday, not three times."""
    trigger = on_business_days(cron(hour="3,10"), otherwise="next")
    found = _fires(trigger, kst(2026, 5, 8), kst(2026, 5, 12))
    assert _clocks(found) == ["05-08 03:00", "05-08 10:00", "05-11 03:00", "05-11 10:00"]


def test_a_move_that_overtakes_keeps_the_order() -> None:
    """Saturday 10:00 comes to Monday after Sunday 09:00 does."""
    either = OrTrigger([cron(day_of_week="sat", hour=10), cron(day_of_week="sun", hour=9)])
    trigger = on_business_days(either, otherwise="next")
    assert _clocks(_fires(trigger, kst(2026, 5, 8), kst(2026, 5, 16))) == [
        "05-11 09:00",
        "05-11 10:00",
    ]


def test_a_move_is_found_from_the_day_that_it_lands_on() -> None:
    """A process that starts on Monday at 08:00 still runs what Saturday left at 09:00."""
    trigger = on_business_days(cron(day_of_week="sat", hour=9), otherwise="next")
    assert trigger.get_next_fire_time(None, kst(2026, 5, 11, 8)) == kst(2026, 5, 11, 9)
    assert trigger.get_next_fire_time(None, kst(2026, 5, 11, 9)) == kst(2026, 5, 11, 9)
    assert trigger.get_next_fire_time(None, kst(2026, 5, 11, 10)) == kst(2026, 5, 18, 9)


def test_the_readers_own_days_count() -> None:
    """A day added is skipped, a Saturday that is worked is not."""
    calendar = BusinessDays(
        extra_holidays=[date(2026, 5, 12)], extra_business_days=[date(2026, 5, 16)]
    )
    found = _fires(on_business_days(cron(hour=3), calendar), kst(2026, 5, 11), kst(2026, 5, 18))
    assert [fire.day for fire in found] == [11, 13, 14, 15, 16]


def test_a_date_trigger_moves_or_is_dropped() -> None:
    """Saturday 9 May at 09:00, once; asked late it still gives its own date, so it can be late."""
    moment = at(kst(2026, 5, 9, 9))
    now = kst(2026, 5, 1)
    moved = on_business_days(moment, otherwise="next")
    assert _fires(moved, now, kst(2027, 1, 1)) == [kst(2026, 5, 11, 9)]
    assert moved.get_next_fire_time(None, kst(2026, 6, 1)) == kst(2026, 5, 11, 9)
    assert on_business_days(moment).get_next_fire_time(None, now) is None
    worked = on_business_days(at(kst(2026, 5, 11, 9)))
    assert worked.get_next_fire_time(None, kst(2026, 6, 1)) == kst(2026, 5, 11, 9)


def test_a_trigger_that_ends_on_a_day_off_still_moves_its_last_fire() -> None:
    """The last of them is on Saturday; Monday's run is its move."""
    trigger = on_business_days(cron(hour=9, end_date=kst(2026, 5, 9, 12)), otherwise="next")
    assert _clocks(_fires(trigger, kst(2026, 5, 8), kst(2027, 1, 1))) == [
        "05-08 09:00",
        "05-11 09:00",
    ]
    assert trigger.get_next_fire_time(None, kst(2026, 5, 10)) == kst(2026, 5, 11, 9)


@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_a_calendar_interval_can_be_kept_to_business_days(otherwise: Any) -> None:
    """Monthly on the 1st at 09:00, as the cron trigger has it."""
    monthly = CalendarIntervalTrigger(
        months=1, hour=9, start_date=date(2026, 1, 1), timezone="Asia/Seoul"
    )
    expected = on_business_days(cron(day=1, hour=9), otherwise=otherwise)
    span = kst(2026, 1, 1), kst(2028, 1, 1)
    found = _fires(on_business_days(monthly, otherwise=otherwise), *span)
    assert found == _fires(expected, *span)


CRONS = st.builds(
    cron,
    day=st.sampled_from([None, "*", "last", "1,2,3", "10-20/3"]),
    day_of_week=st.sampled_from(["*", "sat,sun", "mon", "fri-sun"]),
    hour=st.sampled_from([0, 23, "*/6", "4,5"]),
    minute=st.sampled_from([0, "*/25"]),
    timezone=st.sampled_from(["Asia/Seoul", "Australia/Brisbane"]),
)
TRIGGERS = st.one_of(
    CRONS,
    st.builds(every, hours=st.integers(1, 200)),
    st.lists(CRONS.filter(lambda trigger: trigger.timezone == KST), min_size=1, max_size=3).map(
        OrTrigger
    ),
)
CALENDARS = st.builds(
    BusinessDays,
    extra_holidays=st.sets(st.dates(date(2026, 3, 1), date(2026, 6, 1)), max_size=9),
    extra_business_days=st.just([date(2026, 6, 6), date(2026, 6, 7), date(2026, 8, 15)]),
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 9, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(TRIGGERS, CALENDARS, MOMENTS)
def test_skipping_is_the_triggers_own_fires_without_those_on_days_off(
    trigger: BaseTrigger, calendar: BusinessDays, now: datetime
) -> None:
    """Nothing else is left out, added or moved."""
    end = now + timedelta(days=40)
    kept = on_business_days(trigger, calendar)
    expected = [
        fire
        for fire in _fires(trigger, now, end)
        if calendar.is_business_day(fire.astimezone(kept.timezone).date())
    ]
    assert _fires(kept, now, end) == expected


@given(TRIGGERS, CALENDARS, MOMENTS)
def test_moving_is_each_fire_at_its_clock_time_on_the_next_business_day(
    trigger: BaseTrigger, calendar: BusinessDays, now: datetime
) -> None:
    """Equal to moving every fire one by one, sorting them and dropping doubles."""
    moved = on_business_days(trigger, calendar, otherwise="next")
    end = now + timedelta(days=40)
    expected = set()
    for fire in _fires(trigger, now - timedelta(days=15), end):
        local = fire.astimezone(moved.timezone)
        day = calendar.next_business_day(local.date() - ONE_DAY)
        expected.add(datetime.combine(day, local.time(), tzinfo=moved.timezone))
    assert _fires(moved, now, end) == [fire for fire in sorted(expected) if now <= fire < end]


@given(TRIGGERS, CALENDARS, MOMENTS)
def test_moving_back_is_each_fire_at_its_clock_time_on_the_business_day_before(
    trigger: BaseTrigger, calendar: BusinessDays, now: datetime
) -> None:
    """Equal to moving every fire one by one, sorting them and dropping doubles."""
    moved = on_business_days(trigger, calendar, otherwise="previous")
    end = now + timedelta(days=40)
    expected = set()
    for fire in _fires(trigger, now, end + timedelta(days=15)):
        local = fire.astimezone(moved.timezone)
        day = calendar.previous_business_day(local.date() + ONE_DAY)
        expected.add(datetime.combine(day, local.time(), tzinfo=moved.timezone))
    assert _fires(moved, now, end) == [fire for fire in sorted(expected) if now <= fire < end]


@given(TRIGGERS, CALENDARS, MOMENTS, st.integers(-23, 23).filter(bool))
def test_a_place_in_the_month_keeps_the_fires_of_one_business_day(
    trigger: BaseTrigger, calendar: BusinessDays, now: datetime, nth: int
) -> None:
    """Equal to counting the business days of each month one by one."""
    kept = on_business_days(trigger, calendar, nth_of_month=nth)
    end = now + timedelta(days=70)

    def is_kept(day: date) -> bool:
        length = monthrange(day.year, day.month)[1]
        days = [day.replace(day=number) for number in range(1, length + 1)]
        worked = [each for each in days if calendar.is_business_day(each)]
        return day in worked and (
            worked.index(day) + 1 == nth or worked.index(day) == len(worked) + nth
        )

    expected = [
        fire for fire in _fires(trigger, now, end) if is_kept(fire.astimezone(kept.timezone).date())
    ]
    assert _fires(kept, now, end) == expected


@settings(max_examples=40)
@given(TRIGGERS, st.sampled_from(OTHERWISE), MOMENTS, st.timedeltas(ONE_DAY, 30 * ONE_DAY))
def test_replicas_and_restarts_agree(
    trigger: BaseTrigger, otherwise: Any, now: datetime, later: timedelta
) -> None:
    """One that runs on and one that starts later, from a pickle, name the same times in order."""
    running = on_business_days(trigger, otherwise=otherwise)
    restarted = pickle.loads(pickle.dumps(running))  # noqa: S301
    end = now + timedelta(days=35)
    fires = _fires(running, now, end)
    assert all(earlier < fire for earlier, fire in pairwise(fires))
    assert _fires(restarted, now + later, end) == [fire for fire in fires if fire >= now + later]
    for previous, fire in pairwise(fires):
        assert restarted.get_next_fire_time(previous, previous + later) == fire


@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_it_works_inside_a_combination_and_a_job_store(otherwise: Any) -> None:
    """OrTrigger restores its parts by their state alone."""
    part = on_business_days(
        cron(hour=3), BusinessDays(extra_holidays=[date(2026, 5, 12)]), otherwise
    )
    both = OrTrigger([part, cron(day_of_week="sat", hour=12)])
    restored = pickle.loads(pickle.dumps(both))  # noqa: S301
    span = kst(2026, 5, 11), kst(2026, 6, 11)
    assert _fires(restored, *span) == _fires(both, *span)
    assert restored.triggers[0].calendar == part.calendar
    assert restored.triggers[0].otherwise == otherwise


@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_it_can_be_nested(otherwise: Any) -> None:
    """A second calendar restricts the first one further."""
    own = BusinessDays(extra_holidays=[date(2026, 5, 12)])
    trigger = on_business_days(on_business_days(cron(hour=3)), own, otherwise)
    days = [fire.day for fire in _fires(trigger, kst(2026, 5, 8), kst(2026, 5, 15))]
    assert days == [8, 11, 13, 14]


class _Counting(CronTrigger):  # type: ignore[misc] # APScheduler ships no types
    asked = 0

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> Any:
        self.asked += 1
        return super().get_next_fire_time(previous, now)


@pytest.mark.parametrize("second", ["*", "*/10"])
@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_a_dense_trigger_leaps_over_days_off(otherwise: Any, second: str) -> None:
    """Four days off are passed by a handful of questions, not by 345,600."""
    counting = _Counting(second=second, timezone=KST)
    trigger = on_business_days(counting, otherwise=otherwise)
    previous = kst(2026, 9, 23, 23, 59, 59)
    assert trigger.get_next_fire_time(previous, previous) == kst(2026, 9, 28)
    assert counting.asked < 20


def test_a_trigger_that_only_fires_on_days_off_is_finished() -> None:
    """The search ends after some years, and an empty one at once."""
    trigger = on_business_days(cron(day_of_week="sun", hour=3))
    assert trigger.get_next_fire_time(None, kst(2026, 1, 1)) is None
    assert on_business_days(cron(month=1, day=1)).get_next_fire_time(None, kst(2026, 1, 1)) is None
    counting = _Counting(day_of_week="sun", hour=3, timezone=KST)
    assert on_business_days(counting).get_next_fire_time(None, kst(2026, 1, 1)) is None
    assert counting.asked <= (SEARCH_YEARS + 1) * 53


@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_a_finished_trigger_stays_finished(otherwise: Any) -> None:
    """Nothing comes after the end."""
    trigger = on_business_days(cron(hour=3, end_date=kst(2026, 1, 1)), otherwise=otherwise)
    assert trigger.get_next_fire_time(None, kst(2026, 5, 1)) is None


class TestDaylightSaving:
    """Zones whose clocks change keep their clock time; days are judged by that clock."""

    def test_the_clock_time_is_kept_across_a_change(self) -> None:
        """New York springs forward on Sunday, 8 March 2026."""
        trigger = on_business_days(cron(hour=9, timezone=NEW_YORK), otherwise="next")
        found = _fires(
            trigger,
            datetime(2026, 3, 6, tzinfo=NEW_YORK),
            datetime(2026, 3, 10, tzinfo=NEW_YORK),
        )
        assert _clocks(found) == ["03-06 09:00", "03-09 09:00"]
        assert {fire.tzinfo for fire in found} == {NEW_YORK}

    def test_skipping_follows_the_trigger_across_a_change(self) -> None:
        """Fires that APScheduler 3.11.3 loses after a change are not made up here."""
        for minute in (0, 30):
            inner = cron(day_of_week="mon,fri", hour=0, minute=minute, timezone=NEW_YORK)
            span = (
                datetime(2026, 1, 1, tzinfo=NEW_YORK),
                datetime(2027, 1, 1, tzinfo=NEW_YORK),
            )
            kept = _fires(on_business_days(inner), *span)
            calendar = BusinessDays()
            expected = [
                fire for fire in _fires(inner, *span) if calendar.is_business_day(fire.date())
            ]
            assert kept == expected

    def test_a_clock_time_that_does_not_exist_moves_past_the_gap(self) -> None:
        """Saturday 02:30 comes to a Sunday without one: 03:30, after that day's own 03:00."""
        sunday = BusinessDays(extra_business_days=[date(2026, 3, 8)])
        either = OrTrigger(
            [
                cron(day_of_week="sat", hour=2, minute="10,30", timezone=NEW_YORK),
                cron(day_of_week="sat,sun", hour=3, timezone=NEW_YORK),
            ]
        )
        trigger = on_business_days(either, sunday, "next")
        found = _fires(
            trigger,
            datetime(2026, 3, 7, tzinfo=NEW_YORK),
            datetime(2026, 3, 9, tzinfo=NEW_YORK),
        )
        assert _clocks(found) == ["03-08 03:00", "03-08 03:10", "03-08 03:30"]

    def test_a_clock_time_that_occurs_twice_is_moved_to_the_first(self) -> None:
        """Saturday 01:30 comes to a Sunday that has two; the day's own fires are both kept."""
        sunday = BusinessDays(extra_business_days=[date(2026, 11, 1)])
        trigger = on_business_days(
            cron(day_of_week="sat", hour=1, minute=30, timezone=NEW_YORK), sunday, "next"
        )
        span = datetime(2026, 10, 31, tzinfo=NEW_YORK), datetime(2026, 11, 6, tzinfo=NEW_YORK)
        # Compared in UTC: Python calls a doubled clock time unequal to any other zone's (PEP 495).
        (fire,) = _fires(trigger, *span)
        assert fire.astimezone(UTC) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
        every_half_hour = on_business_days(
            IntervalTrigger(
                minutes=30, start_date=datetime(2026, 10, 1, tzinfo=UTC), timezone=NEW_YORK
            ),
            sunday,
            "next",
        )
        found = _fires(every_half_hour, span[0], datetime(2026, 11, 1, 3, tzinfo=NEW_YORK))
        assert [f"{fire.astimezone(UTC):%H:%M}" for fire in found] == [
            f"{4 + half // 2:02}:{half % 2 * 30:02}" for half in range(8)
        ]

    def test_what_is_moved_back_from_a_doubled_hour_is_in_order(self) -> None:
        """01:50 and, twenty minutes later, 01:10 of a Sunday come to Friday as 01:10 and 01:50."""
        sunday = IntervalTrigger(
            minutes=20,
            start_date=datetime(2026, 11, 1, 5, 50, tzinfo=UTC),
            end_date=datetime(2026, 11, 1, 6, 10, tzinfo=UTC),
            timezone=NEW_YORK,
        )
        trigger = on_business_days(sunday, otherwise="previous")
        span = datetime(2026, 10, 1, tzinfo=NEW_YORK), datetime(2026, 12, 1, tzinfo=NEW_YORK)
        assert _clocks(_fires(trigger, *span)) == ["10-30 01:10", "10-30 01:50"]

    def test_the_day_is_judged_by_the_triggers_own_clock(self) -> None:
        """18:00 UTC on Sunday is Monday in Seoul, and still Sunday for a trigger on UTC."""
        trigger = on_business_days(cron(hour=18, timezone="UTC"))
        found = _fires(trigger, datetime(2026, 5, 8, tzinfo=UTC), datetime(2026, 5, 12, tzinfo=UTC))
        assert [fire.day for fire in found] == [8, 11]


def test_its_parts_are_public() -> None:
    """What fire_times and the scheduler look at."""
    inner, calendar = cron(hour=3), BusinessDays()
    trigger = on_business_days(inner, calendar, "next")
    assert type(trigger) is BusinessDayTrigger
    assert trigger.trigger is inner
    assert trigger.calendar is calendar
    assert trigger.otherwise == "next"
    assert trigger.timezone == KST
    assert str(trigger) == "business_days[cron[hour='3'], otherwise='next']"
    assert "Asia/Seoul" in repr(trigger)


def test_the_zone_of_a_combination_is_that_of_its_parts() -> None:
    """A nested one included."""
    either = OrTrigger([cron(hour=3, timezone=NEW_YORK), cron(hour=4, timezone=NEW_YORK)])
    assert on_business_days(on_business_days(either)).timezone == NEW_YORK
    assert on_business_days(at(kst(2026, 5, 9))).timezone == KST


def test_different_zones_are_refused() -> None:
    """Their days differ, so a day off is not defined."""
    either = OrTrigger([cron(hour=3), cron(hour=3, timezone="UTC")])
    with pytest.raises(TimezoneError, match="combines the zones Asia/Seoul, UTC, whose days"):
        on_business_days(either)


def test_a_trigger_without_a_zone_is_refused() -> None:
    """One that is not APScheduler's own must say it."""

    class Mine(BaseTrigger):  # type: ignore[misc] # APScheduler ships no types
        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
            return now if previous is None else None

    with pytest.raises(InvalidArgumentError, match="does not say its zone"):
        on_business_days(Mine())


@pytest.mark.parametrize(
    "trigger",
    [
        cron(hour=3, jitter=30),
        OrTrigger([cron(hour=3)], jitter=30),
        OrTrigger([cron(hour=3), IntervalTrigger(hours=1, jitter=5, timezone=KST)]),
    ],
)
def test_jitter_is_refused(trigger: BaseTrigger) -> None:
    """Wherever it hides."""
    with pytest.raises(InvalidArgumentError, match="has jitter, which can carry a run into the"):
        on_business_days(trigger)


def test_an_unknown_choice_is_refused() -> None:
    """The message lists all three."""
    with pytest.raises(
        InvalidArgumentError, match=r"otherwise='before' .*'skip'.*'next'.*'previous'"
    ):
        on_business_days(cron(hour=3), otherwise="before")  # type: ignore[arg-type]


@pytest.mark.parametrize("nth", [0, 32, -32, True, 1.0, "last"])
def test_what_is_no_place_in_a_month_is_refused(nth: Any) -> None:
    """The message says how the first and the last one are written."""
    with pytest.raises(InvalidArgumentError, match=r"nth_of_month=.* write 1 .* -1 for the last"):
        on_business_days(cron(hour=3), nth_of_month=nth)


@pytest.mark.parametrize("nth", [24, 31, -24, -31])
def test_a_place_that_no_month_has_is_refused(nth: int) -> None:
    """No month has more than 23 weekdays; one in which weekends are worked may have."""
    july = [date(2026, 7, day) for day in range(1, 32)]
    for calendar in (None, BusinessDays(extra_business_days=july[:3])):
        with pytest.raises(InvalidArgumentError, match=f"nth_of_month={nth} never fires: no month"):
            on_business_days(cron(hour=3), calendar, nth_of_month=nth)
    kept = on_business_days(cron(hour=3), BusinessDays(extra_business_days=july), nth_of_month=nth)
    place = july[nth - 1 if nth > 0 else nth]
    assert kept.get_next_fire_time(None, kst(2026, 1, 1)) == kst(2026, 7, place.day, 3)


def test_a_calendar_of_the_readers_own_may_have_any_place() -> None:
    """Which days it works is its own affair."""

    class EveryDay(BusinessDays):
        def nth_business_day(self, year: int, month: int, nth: int) -> date | None:
            return date(year, month, nth)

    kept = on_business_days(cron(hour=3), EveryDay(), nth_of_month=28)
    assert kept.get_next_fire_time(None, kst(2026, 2, 1)) == kst(2026, 2, 28, 3)


@pytest.mark.parametrize("otherwise", ["next", "previous"])
def test_a_place_in_a_month_moves_nothing(otherwise: Any) -> None:
    """Of a daily job every fire would be moved to that day."""
    with pytest.raises(InvalidArgumentError, match="leave one of the two out"):
        on_business_days(cron(hour=3), otherwise=otherwise, nth_of_month=-1)


def test_a_place_in_a_month_outlives_a_job_store() -> None:
    """And what an older version stored, without one, is still read."""
    trigger = on_business_days(cron(hour=3), nth_of_month=-2)
    restored = pickle.loads(pickle.dumps(trigger))  # noqa: S301
    assert restored.nth_of_month == -2
    assert str(restored) == "business_days[cron[hour='3'], nth_of_month=-2]"
    old = BusinessDayTrigger.__new__(BusinessDayTrigger)
    state = {"version": 1, "trigger": cron(hour=3), "calendar": BusinessDays(), "otherwise": "next"}
    old.__setstate__(state)
    assert (old.otherwise, old.nth_of_month) == ("next", None)


def test_a_dense_trigger_leaps_to_its_day_of_the_month() -> None:
    """A month of seconds is passed by a handful of questions."""
    counting = _Counting(second="*", timezone=KST)
    trigger = on_business_days(counting, nth_of_month=-1)
    assert trigger.get_next_fire_time(None, kst(2026, 9, 1)) == kst(2026, 9, 30)
    assert counting.asked < 5


@pytest.mark.parametrize("calendar", ["previous", {}, date(2026, 5, 1)], ids=repr)
def test_what_is_no_calendar_is_refused(calendar: Any) -> None:
    """The second argument is easily taken for ``otherwise``."""
    with pytest.raises(InvalidArgumentError, match="otherwise='previous'"):
        on_business_days(cron(day=25, hour=9), calendar)
