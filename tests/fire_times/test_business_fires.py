from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_oracle import LONDON, NEW_YORK, SEOUL, assert_equals_loop, crons, spans

from kst_scheduler.fire_times import fire_times
from kst_scheduler.fire_times.vector_forms import has_vector_form
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.business_days import Otherwise, on_business_days
from kst_scheduler.triggers.holidays import BusinessDays

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from apscheduler.triggers.base import BaseTrigger

OTHERWISE: list[Otherwise] = ["skip", "next", "previous"]
OWN_DAYS = BusinessDays(
    extra_holidays=[date(2026, 3, 9), date(2026, 11, 2)],
    extra_business_days=[date(2026, 3, 8), date(2026, 11, 1)],
)


def _inner(zone: ZoneInfo) -> dict[str, BaseTrigger]:
    first = datetime(2026, 1, 1, 1, 30, tzinfo=zone)
    return {
        "daily": CronTrigger(hour=3, timezone=zone),
        "every ten minutes": CronTrigger(minute="*/10", timezone=zone),
        "monthly": CronTrigger(day=1, hour=0, timezone=zone),
        "or": OrTrigger(
            [CronTrigger(hour=2, minute=30, timezone=zone), CronTrigger(day="last", timezone=zone)]
        ),
        "or from a later date": OrTrigger(
            [
                CronTrigger(hour=2, minute=30, timezone=zone),
                CronTrigger(hour=4, timezone=zone, start_date=first + timedelta(days=90)),
            ]
        ),
        "interval": IntervalTrigger(hours=7, start_date=first, timezone=zone),
        "interval with a fraction": IntervalTrigger(seconds=7200.1, start_date=first),
        "date": DateTrigger(first),
        "calendar": CalendarIntervalTrigger(
            days=3, hour=2, minute=30, start_date=date(2026, 2, 1), timezone=zone
        ),
    }


@pytest.mark.parametrize("otherwise", OTHERWISE)
@pytest.mark.parametrize("name", _inner(SEOUL))
@pytest.mark.parametrize("zone", [SEOUL, NEW_YORK], ids=str)
def test_business_days_equal_the_loop(zone: ZoneInfo, name: str, otherwise: Otherwise) -> None:
    """Every kind of trigger inside is exact, over holidays and over changes of the clock."""
    trigger = on_business_days(_inner(zone)[name], OWN_DAYS, otherwise)
    for month, day in ((2, 13), (3, 5), (4, 30), (10, 2), (10, 30)):
        start = datetime(2026, month, day, 1, 30, 0, 5, tzinfo=zone)
        assert_equals_loop(trigger, start, start + timedelta(days=12), most=60)


def test_an_interval_with_a_fraction_loses_what_its_floats_lose() -> None:
    """The library leaps to Monday's midnight, and its division of floats passes the fire there."""
    inner = IntervalTrigger(
        seconds=7189.583794, start_date=kst(2026, 5, 7, 18, 6, 46, 232034), timezone=SEOUL
    )
    trigger = on_business_days(inner)
    assert kst(2026, 5, 11) in fire_times(inner, kst(2026, 5, 8), kst(2026, 5, 12))
    assert kst(2026, 5, 11) not in fire_times(trigger, kst(2026, 5, 8), kst(2026, 5, 12))
    assert_equals_loop(trigger, kst(2026, 5, 8), kst(2026, 5, 12))


@settings(derandomize=True, max_examples=40)
@given(st.data())
def test_a_place_in_the_month_equals_the_loop(data: st.DataObject) -> None:
    """Random fields, spans and places, counted from either end."""
    zone = data.draw(st.sampled_from([SEOUL, SEOUL, NEW_YORK, LONDON]))
    start, end = data.draw(spans(zone))
    inner = data.draw(crons(zone, start))
    nth = data.draw(st.integers(-22, 22).filter(bool))
    trigger = on_business_days(inner, OWN_DAYS, nth_of_month=nth)
    assert_equals_loop(trigger, start, end, most=25)


@pytest.mark.parametrize("name", _inner(SEOUL))
@pytest.mark.parametrize("zone", [SEOUL, NEW_YORK], ids=str)
@pytest.mark.parametrize("nth", [1, 5, -1])
def test_a_place_in_the_month_equals_the_loop_for_every_kind(
    zone: ZoneInfo, name: str, nth: int
) -> None:
    """Half a year of each kind of trigger, over both changes of the clock."""
    trigger = on_business_days(_inner(zone)[name], OWN_DAYS, nth_of_month=nth)
    for month in (2, 10):
        start = datetime(2026, month, 13, 1, 30, 0, 5, tzinfo=zone)
        assert_equals_loop(trigger, start, start + timedelta(days=70), most=40)


@settings(derandomize=True, max_examples=80)
@given(st.data())
def test_random_crons_on_business_days_equal_the_loop(data: st.DataObject) -> None:
    """Random fields and spans are exact, for both ways to treat a day off."""
    zone = data.draw(st.sampled_from([SEOUL, SEOUL, NEW_YORK, LONDON]))
    start, end = data.draw(spans(zone))
    inner = data.draw(crons(zone, start))
    trigger = on_business_days(inner, OWN_DAYS, data.draw(st.sampled_from(OTHERWISE)))
    assert_equals_loop(trigger, start, end, most=25)


@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_a_year_of_ten_minutes_is_never_asked(
    otherwise: Otherwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Seoul the fires of a year come from arrays, without one question to the trigger."""
    trigger = on_business_days(CronTrigger(minute="*/10", timezone=SEOUL), OWN_DAYS, otherwise)

    def refuse(*_: Any) -> None:
        pytest.fail("the business-day trigger was asked")

    # keeps_rule compares the class's own method, so the parts of it are replaced.
    monkeypatch.setattr(type(trigger), "_next_kept", refuse)
    monkeypatch.setattr(type(trigger), "_next_moved", refuse)
    assert has_vector_form(trigger)
    found = fire_times(trigger, kst(2026, 1, 1), kst(2027, 1, 1))
    worked = len({moment.date() for moment in found})
    assert len(found) == worked * 144
    assert 240 < worked < 250


def test_a_trigger_that_counts_as_finished_ends() -> None:
    """Beyond the years that the trigger searches for a business day it is asked, and ends."""
    new_year = CronTrigger(month=1, day=1, hour=3, timezone=SEOUL)
    once_worked = BusinessDays(extra_business_days=[date(2050, 1, 1)])
    trigger = on_business_days(new_year, once_worked)
    assert not len(fire_times(trigger, kst(2026, 1, 2), kst(2051, 1, 1)))
    assert len(fire_times(trigger, kst(2036, 1, 2), kst(2051, 1, 1))) == 1


@pytest.mark.parametrize("otherwise", OTHERWISE)
def test_an_and_trigger_inside_is_not_searched_for_ever(otherwise: Otherwise) -> None:
    """An AndTrigger that the library never returns from is kept to business days as well."""
    daily, monday = (CronTrigger(hour=3, timezone=SEOUL, **days) for days in ({}, {"day": "1-9"}))
    trigger = on_business_days(AndTrigger([daily, monday]), otherwise=otherwise)
    days = fire_times(trigger, kst(2026, 5, 1), kst(2026, 6, 1)).day.tolist()
    # The 1st and the 5th of May are holidays, the 2nd, 3rd and 9th lie on a weekend.
    assert days == ([4, 6, 7, 8, 11] if otherwise == "next" else [4, 6, 7, 8])


def test_fires_beyond_the_end_are_moved_back_into_the_span() -> None:
    """Also where the trigger inside is asked, and a search does not go far beyond the end."""
    office_closed = BusinessDays(extra_holidays=[date(2026, 7, day) for day in range(1, 30)])
    fire = CronTrigger(month=7, day=29, hour=3, timezone=SEOUL)
    end = kst(2026, 7, 1)
    for inner in (fire, OrTrigger([fire, DateTrigger(kst(2026, 1, 4))]), AndTrigger([fire, fire])):
        trigger = on_business_days(inner, office_closed, "previous")
        found = fire_times(trigger, kst(2026, 6, 1), end)
        assert list(found) == [kst(2026, 6, 30, 3)]
        twice = on_business_days(trigger, office_closed, "previous")
        assert list(fire_times(twice, kst(2026, 6, 1), end)) == [kst(2026, 6, 30, 3)]


def test_a_span_beyond_the_calendar_is_no_error_where_nothing_fires() -> None:
    """The package knows the holidays up to 2100."""
    ended = CronTrigger(day=25, hour=9, end_date=kst(2026, 4, 30), timezone=SEOUL)
    trigger = on_business_days(ended, otherwise="previous")
    assert_equals_loop(trigger, kst(2026, 1, 1), kst(2150, 1, 1))
