from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_oracle import (
    LONDON,
    NEW_YORK,
    ODD_ZONES,
    SEOUL,
    assert_equals_loop,
    crons,
    spans,
)

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.fire_times.iteration import keeps_rule
from kst_scheduler.fire_times.spans import fire_times, fire_timestamps
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.business_days import on_business_days

FIELD_SETS: list[dict[str, Any]] = [
    {"hour": 3},
    {"minute": 0},
    {"minute": "*/20"},
    {"hour": 2, "minute": 30},
    {"hour": "1,2", "minute": "15,45"},
    {"hour": 0},
    {"hour": 23, "minute": 59, "second": 59},
    {"day": 1},
    {"day": "last", "hour": "*/6"},
    {"day": "2nd mon,last fri", "hour": 1},
    {"day_of_week": "mon", "hour": 0, "minute": 30},
    {"day_of_week": "sun", "hour": "0-4"},
    {"week": "9-11,44", "day_of_week": "sat-sun", "hour": "*/2"},
    {"month": "3,10,11", "day": "*/3", "hour": "0-3/3"},
]
CHANGES = {
    SEOUL: [kst(2026, 3, 8), kst(2026, 11, 1)],
    NEW_YORK: [datetime(2026, 3, 8, tzinfo=NEW_YORK), datetime(2026, 11, 1, tzinfo=NEW_YORK)],
    LONDON: [datetime(2026, 3, 29, tzinfo=LONDON), datetime(2026, 10, 25, tzinfo=LONDON)],
}


@pytest.mark.parametrize("fields", FIELD_SETS, ids=str)
@pytest.mark.parametrize("zone", CHANGES, ids=str)
def test_common_fields_equal_the_loop_around_each_change(
    zone: ZoneInfo, fields: dict[str, Any]
) -> None:
    """From some days before clocks change to a month after it, common field sets are exact."""
    for day in CHANGES[zone]:
        start = day - timedelta(days=2)
        assert_equals_loop(CronTrigger(**fields, timezone=zone), start, day + timedelta(days=40))


@pytest.mark.parametrize(
    ("zones", "examples"),
    [
        ([SEOUL, NEW_YORK, LONDON, NEW_YORK], 200),
        (ODD_ZONES, 120),
        pytest.param([SEOUL, NEW_YORK, LONDON, NEW_YORK], 2_000, marks=pytest.mark.long),
        pytest.param(ODD_ZONES, 1_000, marks=pytest.mark.long),
    ],
)
def test_random_fields_equal_the_loop(zones: list[ZoneInfo], examples: int) -> None:
    """Random fields, dates and spans are exact.

    Odd zones are those whose clocks change by other steps, at midnight or for a month of fasting.
    """

    @settings(derandomize=True, max_examples=examples)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        zone = data.draw(st.sampled_from(zones))
        start, end = data.draw(spans(zone))
        assert_equals_loop(data.draw(crons(zone, start)), start, end)

    check()


@pytest.mark.parametrize("examples", [60, pytest.param(500, marks=pytest.mark.long)])
def test_or_of_crons_equals_the_loop(examples: int) -> None:
    """An OrTrigger of cron triggers is exact, also when its parts are in different zones."""

    @settings(derandomize=True, max_examples=examples)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        zone = data.draw(st.sampled_from([NEW_YORK, LONDON, *ODD_ZONES[:3]]))
        start, end = data.draw(spans(zone))
        zones = st.sampled_from([zone, zone, SEOUL, LONDON])
        parts = [data.draw(crons(data.draw(zones), start)) for _ in range(2)]
        assert_equals_loop(OrTrigger(parts), start, end)

    check()


STARTS_IN_GAPS = [
    datetime(2009, 3, 8, 2, 1, tzinfo=NEW_YORK),
    datetime(2026, 3, 8, 2, 59, 59, 999_999, tzinfo=NEW_YORK),
    datetime(2026, 3, 8, 2, 30, tzinfo=NEW_YORK, fold=1),
    datetime(2026, 3, 29, 1, 30, tzinfo=LONDON),
    datetime(2026, 10, 4, 2, 15, tzinfo=ZoneInfo("Australia/Lord_Howe")),
    datetime(2011, 12, 30, 12, tzinfo=ZoneInfo("Pacific/Apia")),
]


@pytest.mark.parametrize("start", STARTS_IN_GAPS, ids=str)
@pytest.mark.parametrize(
    "rule",
    [
        {"hour": "1-4", "second": 0},
        {"minute": 0},
        {"second": "*/7"},
        {"day": "last,31", "hour": 0, "minute": 0},
    ],
    ids=str,
)
def test_a_start_that_no_clock_shows_has_no_fire_before_it(
    start: datetime, rule: dict[str, Any]
) -> None:
    """The library compares such a start by its clock time, and may answer an earlier instant."""
    zone = start.tzinfo
    end = start.astimezone(UTC) + timedelta(days=3)
    plain = CronTrigger(**rule, timezone=zone)
    other = CronTrigger(hour="*/2", timezone=SEOUL)
    for trigger in (
        plain,
        OrTrigger([plain, other]),
        OrTrigger([other, plain]),
        AndTrigger([plain, CronTrigger(second=0, timezone=zone)]),
        IntervalTrigger(minutes=7, timezone=zone, start_date=start - timedelta(days=1)),
        CalendarIntervalTrigger(days=1, hour=start.hour, minute=0, timezone=zone),
        on_business_days(plain),
        on_business_days(plain, otherwise="previous"),
    ):
        found = fire_timestamps(trigger, start, end)
        assert (found >= microseconds(start)).all()
        if not isinstance(trigger, AndTrigger):  # with it the library searches forever
            assert_equals_loop(trigger, start, end)


def test_ten_years_lose_the_same_midnights_as_the_library() -> None:
    """After clocks go forward the library loses midnight on the next first of a month."""
    trigger = CronTrigger(day=1, hour=0, timezone=NEW_YORK)
    start, end = (datetime(year, 1, 1, tzinfo=NEW_YORK) for year in (2026, 2036))
    months = fire_times(trigger, start, end)
    assert len(months) == 110
    assert set(range(1, 13)) - set(months.month[months.year == 2026]) == {4}
    assert_equals_loop(trigger, start, end)


def test_half_past_midnight_is_lost_as_in_the_library() -> None:
    """The Monday after clocks go forward has no 00:30, as the library has it."""
    trigger = CronTrigger(day_of_week="mon", hour=0, minute=30, timezone=NEW_YORK)
    start, end = (datetime(2026, 3, day, tzinfo=NEW_YORK) for day in (1, 20))
    assert [moment.day for moment in fire_times(trigger, start, end)] == [2, 16]


def test_a_fire_at_a_time_that_does_not_exist_is_kept() -> None:
    """The library answers 02:30 on the day that has none: the instant is 03:30 daylight time."""
    trigger = CronTrigger(hour=2, minute=30, timezone=NEW_YORK)
    start, end = (datetime(2026, 3, day, tzinfo=NEW_YORK) for day in (8, 9))
    assert [str(moment) for moment in fire_times(trigger, start, end)] == [
        "2026-03-08 03:30:00-04:00"
    ]


def test_a_repeated_hour_fires_twice() -> None:
    """Both passes of the hour that is repeated fire, and an end inside it is an instant."""
    trigger = CronTrigger(hour=1, minute="*/30", timezone=NEW_YORK)
    start = datetime(2026, 11, 1, tzinfo=NEW_YORK)
    assert len(fire_times(trigger, start, start + timedelta(days=1))) == 4
    second_pass = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK, fold=1)
    assert [str(moment)[11:] for moment in fire_times(trigger, start, second_pass)] == [
        "01:00:00-04:00",
        "01:30:00-04:00",
        "01:00:00-05:00",
    ]


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("minute", [0, 15, 45])
@pytest.mark.parametrize("day", [datetime(2026, 3, 8, 2), datetime(2026, 11, 1, 1)])  # noqa: DTZ001
def test_an_end_date_inside_a_gap_or_a_repeat_is_compared_by_its_clock(
    day: datetime, minute: int, fold: int
) -> None:
    """There the library compares clock times, not instants, and so the fires end as its own."""
    last = day.replace(minute=minute, fold=fold, tzinfo=NEW_YORK)
    trigger = CronTrigger(minute="*/15", end_date=last, timezone=NEW_YORK)
    for minutes in range(-180, 240, 15):
        start = (last.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(NEW_YORK)
        assert_equals_loop(trigger, start, start + timedelta(days=1))


def test_an_end_date_at_a_fire_is_inclusive() -> None:
    """A fire at the trigger's own end is its last, although the end of the span is not a fire."""
    last = kst(2026, 5, 12, 3)
    trigger = CronTrigger(hour=3, end_date=last, timezone=SEOUL)
    assert_equals_loop(trigger, kst(2026, 5, 10), kst(2026, 5, 20))
    assert fire_times(trigger, kst(2026, 5, 10), kst(2026, 5, 20)).day.tolist() == [10, 11, 12]


@pytest.mark.parametrize(
    ("name", "day", "fields"),
    [
        # Forward at 03:00, 02:00 by half an hour, 00:00, 01:00 by two hours, 23:00, over a day.
        ("Europe/Athens", (2026, 3, 29), {"hour": 3, "minute": 30}),
        ("Australia/Lord_Howe", (2026, 10, 4), {"hour": 2, "minute": "10,40"}),
        ("America/Havana", (2026, 3, 8), {"hour": "0,4"}),
        ("Antarctica/Troll", (2026, 3, 29), {"day_of_week": "mon", "hour": "1,2"}),
        ("America/Nuuk", (2026, 3, 28), {"day_of_week": "sat", "hour": 22}),
        ("Pacific/Apia", (2011, 12, 30), {"day": "29-31", "hour": 12}),
        # Back from 00:01, when the library leaves the day of the week unread.
        (
            "America/St_Johns",
            (2010, 11, 7),
            {"day_of_week": "sun", "hour": 0, "minute": "*"},
        ),
    ],
    ids=str,
)
def test_unusual_changes_equal_the_loop(
    name: str, day: tuple[int, int, int], fields: dict[str, Any]
) -> None:
    """Each kind of change at which the library's answer depends on the way of its search."""
    zone = ZoneInfo(name)
    start = datetime(*day, tzinfo=zone) - timedelta(days=3)
    assert_equals_loop(CronTrigger(**fields, timezone=zone), start, start + timedelta(days=40))


def test_an_or_in_a_repeated_hour_compares_clock_times() -> None:
    """From 01:15 the library goes on to the second 01:15, and so loses the first 01:45."""
    parts = [CronTrigger(hour=1, minute=minute, timezone=NEW_YORK) for minute in (15, 45)]
    start, end = (datetime(2026, 11, day, tzinfo=NEW_YORK) for day in (1, 2))
    assert_equals_loop(OrTrigger(parts), start, end)
    assert [str(moment)[11:] for moment in fire_times(OrTrigger(parts), start, end)] == [
        "01:15:00-04:00",
        "01:15:00-05:00",
        "01:45:00-05:00",
    ]


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=9)), timezone(-timedelta(hours=3))])
def test_a_fixed_offset_is_a_zone(zone: timezone) -> None:
    """A trigger may have a fixed offset instead of a named zone."""
    trigger = CronTrigger(hour="*/5", minute=7, timezone=zone)
    assert_equals_loop(trigger, kst(2026, 2, 27, 1, 2, 3, 4), kst(2026, 3, 20))


def test_years_before_the_first_that_a_field_matches_are_empty() -> None:
    """No field matches a year before 1970, and a span may begin long before."""
    trigger = CronTrigger(day=1, hour=0, timezone=SEOUL)
    start, end = kst(1900, 1, 1), kst(1971, 1, 1)
    assert_equals_loop(trigger, start, end)
    assert len(fire_times(trigger, start, end)) == 12


@pytest.mark.parametrize(
    "fields",
    [{"month": 2, "day": 30}, {"month": 6, "week": 53}, {"year": 2025}, {"day": "31", "month": 4}],
    ids=str,
)
def test_sets_that_no_date_matches_ask_nothing(
    fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library searches to the year 9999 for a second; here no search is begun."""
    trigger = CronTrigger(**fields, timezone=NEW_YORK)
    searches: list[object] = []
    monkeypatch.setattr(CronTrigger, "_increment_field_value", lambda *_: searches.append(_))
    monkeypatch.setattr(CronTrigger, "_set_field_value", lambda *_: searches.append(_))
    end = datetime(2126, 1, 1, tzinfo=NEW_YORK)
    assert not len(fire_times(trigger, datetime(2026, 1, 1, tzinfo=NEW_YORK), end))
    assert not searches


def test_the_last_day_that_a_datetime_can_name_is_no_error() -> None:
    """A span to the end of the calendar is answered up to its last days."""
    trigger = CronTrigger(year=9999, month=12, day="20-26", hour=3, timezone=SEOUL)
    found = fire_timestamps(trigger, kst(9990, 1, 1), datetime.max.replace(tzinfo=SEOUL))
    assert found.tolist() == [microseconds(kst(9999, 12, day, 3)) for day in range(20, 27)]


def test_a_subclass_with_another_rule_is_asked() -> None:
    """Only CronTrigger's own rule is computed; a subclass may have its own."""

    class Never(CronTrigger):  # type: ignore[misc] # APScheduler ships no types
        def get_next_fire_time(self, previous: Any, now: Any) -> None:
            """Never fire."""

    assert not len(fire_times(Never(hour=3, timezone=SEOUL), kst(2026, 1, 1), kst(2027, 1, 1)))


def _later(fire: datetime, *_: object) -> datetime:
    return fire and fire + timedelta(minutes=5)


class _Later(CronTrigger):  # type: ignore[misc] # APScheduler ships no types
    """Keeps ``get_next_fire_time``, and replaces a step of it."""

    _apply_jitter = staticmethod(_later)


def test_a_subclass_that_replaces_a_step_of_the_rule_is_asked() -> None:
    """The rule calls ``_apply_jitter`` for each fire, also of a trigger without jitter."""
    replaced_in_one = type("Open", (CronTrigger,), {})(minute="0,20", timezone=SEOUL)
    replaced_in_one._apply_jitter = _later
    for trigger in (_Later(minute="0,20", timezone=SEOUL), replaced_in_one):
        fires = fire_times(trigger, kst(2026, 1, 1), kst(2026, 1, 1, 1))
        assert [fire.minute for fire in fires] == [5, 25]
        assert not keeps_rule(trigger, CronTrigger)


def test_a_subclass_that_keeps_the_rule_is_computed() -> None:
    """A name or a repr of its own changes no fire."""
    trigger = type("Named", (CronTrigger,), {"name": "nightly"})(hour=3, timezone=SEOUL)
    assert keeps_rule(trigger, CronTrigger)
