from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.fire_times.instants import SECOND
from kst_scheduler.fire_times.matching import matching_days, times_of_day
from kst_scheduler.timezone import KST

EPOCH = date(1970, 1, 1)
FIRST, LAST = date(2018, 12, 1), date(2029, 1, 31)


@pytest.mark.parametrize(
    ("field", "expression"),
    [
        ("year", "*/3"),
        ("year", "2020-2024/2"),
        ("month", "feb-apr,12"),
        ("month", "*/5"),
        ("day", "last"),
        ("day", "5-20/4"),
        ("day", "5th sun"),
        ("day", "1st mon,last sat,15"),
        ("week", "1,52-53"),
        ("week", "*/7"),
        ("day_of_week", "tue-thu,6"),
        ("day_of_week", "*/2"),
    ],
)
def test_days_match_as_the_field_says(field: str, expression: str) -> None:
    """A day matches when the library's own field offers the value that the day has."""
    trigger = CronTrigger(**{field: expression}, timezone=KST)
    asked = next(part for part in trigger.fields if part.name == field)
    # The other dates of the trigger match everything, or the first day where they are defaults.
    for part in trigger.fields:
        if part.name != field and part.name in ("month", "day"):
            part.expressions = CronTrigger(hour=0, timezone=KST).fields[1].expressions
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    expected = [day for day in days if asked.get_next_value(day) == asked.get_value(day)]
    found = matching_days(trigger, (FIRST - EPOCH).days, (LAST - EPOCH).days)
    assert found.view("M8[D]").tolist() == expected


def test_times_of_day_are_in_order() -> None:
    """Hours, minutes and seconds combine to microseconds since midnight."""
    trigger = CronTrigger(hour="3,1", minute="30-59/15", second="0,59", timezone=KST)
    expected = [
        ((hour * 60 + minute) * 60 + second) * SECOND
        for hour in (1, 3)
        for minute in (30, 45)
        for second in (0, 59)
    ]
    assert times_of_day(trigger).tolist() == expected


def test_no_day_before_1970_matches() -> None:
    """1970 is the first year that a field can match."""
    assert matching_days(CronTrigger(hour=3, timezone=KST), -5, 1).tolist() == [0, 1]
    assert np.array_equal(matching_days(CronTrigger(hour=3, timezone=KST), -5, -2), [])
