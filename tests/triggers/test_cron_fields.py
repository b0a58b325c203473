from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.cron import expressions as library
from hypothesis import given
from hypothesis import strategies as st

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.triggers.cron_fields import CLOCK_FIELDS, can_fire, check_field, matches, values


def _trigger_of(**fields: Any) -> CronTrigger:
    return CronTrigger(timezone=UTC, **fields)


def _field_of(name: str, value: int | str) -> Any:
    return CronTrigger.FIELDS_MAP[name](name, value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("hour", "*", list(range(24))),
        ("minute", "*/15", [0, 15, 30, 45]),
        ("second", "50/4,3", [3, 50, 54, 58]),
        ("day", "*/10", [1, 11, 21, 31]),
        ("month", "jan-mar,12", [1, 2, 3, 12]),
        ("week", "52-53", [52, 53]),
        ("day_of_week", "mon,sun", [0, 6]),
    ],
)
def test_values_lists_what_a_field_matches(name: str, value: str, expected: list[int]) -> None:
    """Names, lists, ranges and steps come out as numbers in order."""
    assert values(_field_of(name, value)) == expected


DAY_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "month": st.sampled_from([2, 4, 12, "1-3", "*/5"]),
        "day": st.sampled_from([1, 29, 30, 31, "last", "5th fri", "1st mon", "28/2"]),
        "week": st.sampled_from([1, 5, 52, 53, "9-13"]),
        "day_of_week": st.sampled_from(["mon", "fri-sun", 3]),
    },
)


@given(DAY_FIELDS, st.dates(datetime(1990, 1, 1).date(), datetime(2040, 1, 1).date()))  # noqa: DTZ001
def test_matches_agrees_with_the_days_on_which_the_library_fires(fields: Any, day: Any) -> None:
    """A midnight trigger fires on a day exactly when each of its fields matches that day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    trigger = _trigger_of(hour=0, end_date=midnight + timedelta(days=1), **fields)
    fires = trigger.get_next_fire_time(None, midnight) == midnight
    assert fires == all(matches(field, midnight) for field in trigger.fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"month": 2, "day": 29},
        {"month": 2, "day": "5th mon"},
        {"week": 53, "month": 1, "day": 3},
        {"week": 53, "month": 12, "day": 28, "day_of_week": "mon"},
        {"week": 1, "month": 12, "day": 29},
        {"year": "2000/100", "month": 2, "day": 29},
        {"year": 2400, "month": 2, "day": 29},
        {"hour": 3},
    ],
)
def test_rare_dates_can_fire(fields: dict[str, Any]) -> None:
    """The library finds a date for each of these, so it is not called impossible."""
    assert can_fire(_trigger_of(**fields))
    now = datetime(1970, 1, 1, tzinfo=UTC)
    assert _trigger_of(**fields).get_next_fire_time(None, now) is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"month": 2, "day": 30},
        {"month": "4,6,9,11", "day": 31},
        {"week": 53, "month": 6},
        {"week": 52, "month": 1, "day": 3},
        {"year": 2027, "month": 2, "day": 29},
        {"year": "2100/400", "month": 2, "day": 29},
        {"month": 2, "day": "5th mon", "year": 2026},
        {"day": "1st mon", "day_of_week": "tue"},
    ],
)
def test_impossible_dates_cannot_fire(fields: dict[str, Any]) -> None:
    """The library searches to the year 9999 for these and finds nothing."""
    assert not can_fire(_trigger_of(**fields))
    now = datetime(2020, 1, 1, tzinfo=UTC)
    end = datetime(2421, 1, 1, tzinfo=UTC)  # the calendar repeats after 400 years
    assert _trigger_of(end_date=end, **fields).get_next_fire_time(None, now) is None


@pytest.mark.parametrize(
    ("name", "value", "read_as"),
    [
        ("day_of_week", "mon-fri/2", "mon-fri"),
        ("day_of_week", "mon#1", "mon"),
        ("day", "1st mon-fri", "1st mon"),
        ("day", "lastfri", "last"),
        ("month", "1,jan-mar/2", "1,jan-mar"),
    ],
)
def test_text_that_the_library_would_ignore_is_refused(name: str, value: str, read_as: str) -> None:
    """APScheduler 3.11.3 reads the beginning of these and drops the rest without a word."""
    assert str(_field_of(name, value)) == read_as
    with pytest.raises(InvalidArgumentError, match=r"the end of .* would be ignored"):
        check_field(name, value)


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("hour", 25, "hour takes 0 to 23"),
        ("minute", "", "minute takes 0 to 59"),
        ("day_of_week", "fri-mon", "forward range"),
        ("day_of_week", "monday", "mon to sun, or 0 to 6 where 0 is Monday"),
        ("month", 0, "1 to 12 or jan to dec"),
        ("second", 1.5, "second takes"),
    ],
)
def test_a_value_outside_its_field_is_refused(name: str, value: Any, takes: str) -> None:
    """The message shows the field as it was written and what it takes."""
    with pytest.raises(InvalidArgumentError, match=f"^cron\\({name}={value!r}\\).*{takes}"):
        check_field(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("day", "last"),
        ("day", "last fri , 1st  mon,15"),
        ("month", "JAN-mar, 7"),
        ("day_of_week", "mon,wed-fri"),
        ("hour", "9-17/2"),
        ("year", "2026"),
        ("minute", 0),
    ],
)
def test_every_documented_form_is_taken(name: str, value: int | str) -> None:
    """What APScheduler's documentation lists passes the check."""
    check_field(name, value)


def test_the_library_still_has_the_parts_that_are_used_here() -> None:
    """Checked on APScheduler 3.11.3; a change of these names must be seen here first."""
    assert list(CronTrigger.FIELDS_MAP) == [
        "year",
        "month",
        "week",
        "day",
        "day_of_week",
        *CLOCK_FIELDS,
    ]
    assert _field_of("hour", 3).COMPILERS[0] is library.AllExpression
    assert library.AllExpression.value_re.fullmatch("*/5")
