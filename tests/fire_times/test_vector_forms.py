from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

import pytest
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_oracle import LONDON, NEW_YORK, SEOUL, assert_equals_loop, library_loop, spans

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times.spans import fire_times, fire_timestamps
from kst_scheduler.fire_times.vector_forms import has_vector_form
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import at, crontab, every

START, END = kst(2026, 5, 1), kst(2026, 6, 1)


@settings(derandomize=True, max_examples=300)
@given(st.data())
def test_intervals_equal_the_loop(data: st.DataObject) -> None:
    """Intervals are exact: whole seconds and fractions, from before or after the start, and ended.

    An end that an interval meets is inclusive in the library only if its sum of floats allows it.
    """
    zone = data.draw(st.sampled_from([SEOUL, NEW_YORK, LONDON]))
    start, end = data.draw(spans(zone))
    seconds = data.draw(st.sampled_from([1, 600, 3600, 86400, 90061, 0.7, 1800.25, 7200.000001]))
    phase = data.draw(st.integers(-(10**6), 10**5)) + data.draw(st.sampled_from([0, 0, 0.123456]))
    first = start.astimezone(UTC) + timedelta(seconds=phase)
    last = first + data.draw(st.integers(1, 3000)) * timedelta(seconds=seconds)
    trigger = IntervalTrigger(
        seconds=seconds,
        start_date=first.astimezone(zone),
        end_date=data.draw(st.sampled_from([None, last.astimezone(zone)])),
        timezone=zone,
    )
    assert_equals_loop(trigger, start, end)


def test_an_interval_ends_where_its_floats_end() -> None:
    """Some ends that an interval meets exactly are left out by the library, and so here too."""
    lengths = []
    for steps in range(1, 60):
        last = START + steps * timedelta(seconds=0.7)
        trigger = IntervalTrigger(seconds=0.7, start_date=START, end_date=last, timezone=SEOUL)
        assert_equals_loop(trigger, START, END)
        lengths.append(len(fire_times(trigger, START, END)) - steps)
    assert set(lengths) == {0, 1}


@pytest.mark.parametrize("seconds", [0.3, 600])
def test_intervals_beyond_the_reach_of_floats_equal_the_loop(seconds: float) -> None:
    """After 2106 floats cannot hold every microsecond; the library's rounding is kept."""
    start = kst(2300, 1, 1)
    trigger = IntervalTrigger(
        seconds=seconds, start_date=start + timedelta(microseconds=1), timezone=SEOUL
    )
    assert_equals_loop(trigger, start, kst(2300, 1, 2))


@pytest.mark.parametrize("moment", [START, START - timedelta(days=1), END, kst(2026, 5, 9, 3)])
def test_a_date_fires_only_inside_the_span(moment: datetime) -> None:
    """The library answers a date also when it is past; here it is not in the span."""
    expected = [moment] if START <= moment < END else []
    assert fire_times(at(moment), START, END).to_pydatetime().tolist() == expected
    assert_equals_loop(at(moment), START, END)


@pytest.mark.parametrize(
    "arguments",
    [
        {"days": 1, "hour": 3, "start_date": date(2026, 1, 1)},
        {"months": 1, "hour": 2, "minute": 30, "start_date": date(2025, 12, 31)},
        {"weeks": 1, "start_date": date(2026, 5, 3), "end_date": date(2026, 5, 20)},
        {"days": 1, "hour": 2, "minute": 30, "start_date": date(2026, 3, 1), "timezone": NEW_YORK},
    ],
    ids=str,
)
def test_calendar_intervals_equal_the_loop(arguments: dict[str, Any]) -> None:
    """A CalendarIntervalTrigger begins at its own start; what is before the span is left out."""
    trigger = CalendarIntervalTrigger(**{"timezone": SEOUL} | arguments)
    assert not has_vector_form(trigger)
    assert_equals_loop(trigger, START, END)
    assert_equals_loop(trigger, kst(2026, 3, 1), kst(2026, 4, 1))


def test_an_or_of_other_triggers_equals_the_loop() -> None:
    """An interval inside an OrTrigger goes on from the other's fire; a date counts only first."""
    daily = CronTrigger(hour=3, timezone=SEOUL)
    for other in (every(hours=7), at(kst(2026, 5, 2)), at(START), every(days=1)):
        trigger = OrTrigger([daily, other])
        assert not has_vector_form(trigger)
        assert_equals_loop(trigger, START, END)


def test_an_or_of_impossible_parts_is_bounded() -> None:
    """A part that no date matches is not searched for to the year 9999 at every fire."""
    never = CronTrigger(month=2, day=30, timezone=SEOUL)
    assert len(fire_times(OrTrigger([never, every(minutes=1)]), START, END)) == 31 * 1440
    assert len(fire_times(OrTrigger([never, crontab("0 3 * * *")]), START, END)) == 31
    assert not len(fire_times(OrTrigger([]), START, END))


def test_crontabs_two_day_fields_have_a_vector_form() -> None:
    """What crontab() makes of a line with both day fields is computed at once, and exact."""
    trigger = crontab("0 3 1-7 * 1")
    assert has_vector_form(trigger)
    assert_equals_loop(trigger, START, END)


def test_an_or_that_the_library_never_leaves_is_refused() -> None:
    """Two zones in one repeated hour: the library answers one instant for ever (3.11.3)."""
    parts = [
        CronTrigger(hour=1, minute=30, timezone=NEW_YORK),
        CronTrigger(hour=15, minute=30, timezone=SEOUL),
    ]
    start = datetime(2026, 11, 1, 0, 30, tzinfo=NEW_YORK)
    assert len(set(library_loop(OrTrigger(parts), start, start + timedelta(days=1), 50))) == 2
    with pytest.raises(InvalidArgumentError, match="write a trigger whose answers become later"):
        fire_times(OrTrigger(parts), start, start + timedelta(days=1))


def test_an_and_trigger_answers_what_all_parts_agree_on() -> None:
    """Where the library searches forever, the answer is the times that all parts have."""
    daily, monday = (CronTrigger(hour=3, timezone=SEOUL, **day) for day in ({}, {"day_of_week": 0}))
    assert fire_times(AndTrigger([daily, monday]), START, END).day.tolist() == [4, 11, 18, 25]
    never = AndTrigger([monday, CronTrigger(hour=4, timezone=SEOUL)])
    assert not len(fire_times(never, START, END))
    both = AndTrigger([daily, every(hours=36, anchor=kst(2026, 5, 1, 3))])
    assert fire_times(both, START, END).day.tolist() == list(range(1, 32, 3))


def test_an_and_trigger_that_the_library_answers_equals_the_loop() -> None:
    """Parts that always agree are no trouble for the library, and a date ends the search."""
    twice = [CronTrigger(hour="*/6", timezone=NEW_YORK), crontab("0 */6 * * *", NEW_YORK)]
    assert has_vector_form(AndTrigger(twice))
    assert_equals_loop(AndTrigger(twice), datetime(2026, 3, 1, tzinfo=NEW_YORK), END)
    once = AndTrigger([CronTrigger(hour=3, timezone=SEOUL), at(kst(2026, 5, 9, 3))])
    assert_equals_loop(once, START, END)
    assert_equals_loop(OrTrigger([once, crontab("0 5 * * *")]), START, END)
    assert_equals_loop(OrTrigger([once, crontab("0 5 9 5 *")]), START, END)


def test_an_and_trigger_inside_an_or_is_not_searched_for_ever() -> None:
    """An AndTrigger answers its common times wherever it is nested."""
    daily, monday = (CronTrigger(hour=3, timezone=SEOUL, **day) for day in ({}, {"day_of_week": 0}))
    trigger = OrTrigger([AndTrigger([daily, monday]), CronTrigger(day=2, timezone=SEOUL)])
    assert fire_times(trigger, START, END).day.tolist() == [2, 4, 11, 18, 25]


def test_an_and_trigger_without_parts_is_refused() -> None:
    """The library fails on it with min() of nothing; the message says what is missing."""
    with pytest.raises(InvalidArgumentError, match=r"AndTrigger\(\[\]\) has no times"):
        fire_times(AndTrigger([]), START, END)


class Custom(BaseTrigger):  # type: ignore[misc] # APScheduler ships no types
    """Fires a given time after each answer; a custom trigger need not say its zone."""

    def __init__(self, gap: timedelta, timezone: tzinfo | None = None) -> None:
        self.gap = gap
        self.timezone = timezone

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Answer."""
        return previous + self.gap if previous else now


def test_a_custom_trigger_is_asked() -> None:
    """Any object with get_next_fire_time is a trigger, and its answers are taken as they come."""
    trigger = Custom(timedelta(hours=7))
    assert not has_vector_form(trigger)
    assert_equals_loop(trigger, START, END)


@pytest.mark.parametrize("gap", [timedelta(0), timedelta(hours=-1)])
def test_a_trigger_that_does_not_move_on_is_refused(gap: timedelta) -> None:
    """Answers that never become later have no end, and the message shows two of them."""
    with pytest.raises(InvalidArgumentError, match=r"answers 2026-.* after 2026-.* have no end"):
        fire_timestamps(Custom(gap), START, END)
    if gap:
        backwards = IntervalTrigger(hours=-1, start_date=START, timezone=SEOUL)
        with pytest.raises(InvalidArgumentError, match="answers become later"):
            fire_timestamps(backwards, START, END)


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (CronTrigger(hour=3, timezone=SEOUL), True),
        (every(hours=1), True),
        (DateTrigger(START), True),
        (AndTrigger([every(hours=1), CronTrigger(hour=3, timezone=SEOUL)]), True),
        (AndTrigger([every(hours=1), Custom(timedelta(hours=1))]), False),
        (OrTrigger([every(hours=1), CronTrigger(hour=3, timezone=SEOUL)]), False),
        (Custom(timedelta(hours=1)), False),
    ],
    ids=["cron", "interval", "date", "and", "and of custom", "or of interval", "custom"],
)
def test_the_caller_can_know_which_answers_are_fast(trigger: BaseTrigger, expected: bool) -> None:
    """has_vector_form looks into triggers that combine others."""
    assert has_vector_form(trigger) is expected
