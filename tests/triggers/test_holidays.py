import pickle
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kst_scheduler.errors import InvalidArgumentError, MissingExtraError
from kst_scheduler.timezone import kst
from kst_scheduler.triggers import holidays
from kst_scheduler.triggers.holidays import BusinessDays

CHRISTMAS_EVE = date(2026, 12, 24)
SUBSTITUTES_2026 = [date(2026, 3, 2), date(2026, 5, 25), date(2026, 8, 17), date(2026, 10, 5)]
DAYS = st.dates(date(1950, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    "day",
    [
        *SUBSTITUTES_2026,
        date(2026, 2, 17),  # Seollal
        date(2026, 5, 1),
        date(2026, 6, 3),  # an election
        date(2026, 7, 17),
        date(2026, 9, 25),  # Chuseok
    ],
)
def test_holidays_of_2026_are_days_off(day: date) -> None:
    """Lunar holidays, the election, the two that came back and the substitute days are known."""
    assert day.weekday() < 5
    assert not BusinessDays().is_business_day(day)
    assert BusinessDays().holiday_name(day)


@given(DAYS)
def test_the_previous_business_day_is_the_last_one_before(day: date) -> None:
    """Nothing between the two is worked; and it mirrors the next one."""
    calendar = BusinessDays()
    found = calendar.previous_business_day(day)
    between = [found + timedelta(days=n) for n in range(1, (day - found).days)]
    assert found < day
    assert calendar.is_business_day(found)
    assert not any(map(calendar.is_business_day, between))
    assert calendar.next_business_day(found) >= day


@given(DAYS, st.integers(1, 23))
def test_business_days_of_a_month_are_counted_from_either_end(day: date, nth: int) -> None:
    """Equal to a list of them, where the month has as many."""
    calendar = BusinessDays()
    month = [day.replace(day=1) + timedelta(days=n) for n in range(31)]
    worked = [each for each in month if each.month == day.month and calendar.is_business_day(each)]
    enough = len(worked) >= nth
    found = calendar.nth_business_day(day.year, day.month, nth)
    assert found == (worked[nth - 1] if enough else None)
    found = calendar.nth_business_day(day.year, day.month, -nth)
    assert found == (worked[-nth] if enough else None)


@pytest.mark.parametrize("nth", [0, 32, True, 1.0])
def test_a_place_that_no_month_has_is_refused(nth: Any) -> None:
    """The message says how the first and the last are counted."""
    with pytest.raises(InvalidArgumentError, match=r"nth=.*write 1 for the first.*-1 for the last"):
        BusinessDays().nth_business_day(2026, 5, nth)


def test_weekends_are_days_off_without_a_name() -> None:
    """A Saturday is closed, and is no holiday."""
    assert not BusinessDays().is_business_day(date(2026, 5, 9))
    assert BusinessDays().holiday_name(date(2026, 5, 9)) is None


def test_other_days_are_worked() -> None:
    """A Monday in May."""
    assert BusinessDays().is_business_day(date(2026, 5, 11))
    assert BusinessDays().holiday_name(date(2026, 5, 11)) is None


def test_2026_has_as_many_business_days_as_a_calendar_shows() -> None:
    """365 days, 104 on weekends, 22 holidays of which 6 lie on a weekend."""
    days = np.arange("2026-01-01", "2027-01-01", dtype="datetime64[D]")
    named = BusinessDays().holidays(2026)
    on_weekends = sum(day.weekday() >= 5 for day in named)
    assert (len(named), on_weekends) == (22, 6)
    assert BusinessDays().are_business_days(days).sum() == 365 - 104 - (22 - 6)


def test_the_reader_adds_and_removes_days() -> None:
    """A temporary holiday, a holiday that is worked, and a Saturday that is worked."""
    calendar = BusinessDays(
        extra_holidays=[CHRISTMAS_EVE],
        extra_business_days=[date(2026, 5, 1), date(2026, 5, 9)],
    )
    assert not calendar.is_business_day(CHRISTMAS_EVE)
    assert calendar.holiday_name(CHRISTMAS_EVE) == "Extra holiday"
    assert calendar.is_business_day(date(2026, 5, 1))
    assert calendar.holiday_name(date(2026, 5, 1)) is None
    assert calendar.is_business_day(date(2026, 5, 9))
    assert calendar.next_business_day(date(2026, 12, 23)) == date(2026, 12, 28)


def test_an_extra_holiday_keeps_the_name_that_is_known() -> None:
    """Adding a day that a newer package knows does no harm."""
    calendar = BusinessDays(extra_holidays=[date(2026, 5, 5)])
    assert calendar.holiday_name(date(2026, 5, 5)) == "Children's Day"


def test_the_next_business_day_lies_after_the_day() -> None:
    """Also from a business day; Chuseok and the weekend around it are passed over."""
    assert BusinessDays().next_business_day(date(2026, 5, 11)) == date(2026, 5, 12)
    assert BusinessDays().next_business_day(date(2026, 9, 23)) == date(2026, 9, 28)
    assert BusinessDays().next_business_day(date(2026, 12, 31)) == date(2027, 1, 4)


def test_holidays_come_in_the_order_of_dates() -> None:
    """With the reader's own among them, and names that do not follow the host's language."""
    named = BusinessDays(extra_holidays=[CHRISTMAS_EVE]).holidays(2026)
    assert list(named) == sorted(named)
    assert named[date(2026, 1, 1)] == "New Year's Day"
    assert named[date(2026, 3, 2)] == "Alternative holiday for Independence Movement Day"
    assert CHRISTMAS_EVE in named


@given(st.lists(DAYS, min_size=1), st.sets(DAYS, max_size=3), st.sets(DAYS, max_size=3))
def test_many_days_are_judged_as_each_of_them(
    days: list[date], off: set[date], worked: set[date]
) -> None:
    """The vectorised form equals the plain one over 150 years, in the shape that is given."""
    calendar = BusinessDays(extra_holidays=off - worked, extra_business_days=worked)
    expected = [calendar.is_business_day(day) for day in days]
    found = calendar.are_business_days(np.array([days], "datetime64[D]"))
    assert found.shape == (1, len(days))
    assert found[0].tolist() == expected


@given(DAYS)
def test_a_day_is_off_for_a_reason(day: date) -> None:
    """Every weekday off is a holiday, and every holiday is off."""
    calendar = BusinessDays()
    assert calendar.is_business_day(day) == (
        day.weekday() < 5 and calendar.holiday_name(day) is None
    )


def test_no_days_give_no_answers() -> None:
    """An empty array comes back empty."""
    assert BusinessDays().are_business_days(np.array([], "datetime64[D]")).tolist() == []


def test_calendars_are_values() -> None:
    """Equal dates in any order make equal calendars that look the same, also after pickling."""
    one = BusinessDays(extra_holidays=[CHRISTMAS_EVE, date(2026, 12, 31)])
    other = BusinessDays(extra_holidays=(date(2026, 12, 31), CHRISTMAS_EVE, CHRISTMAS_EVE))
    assert one == other == pickle.loads(pickle.dumps(one))  # noqa: S301
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)
    assert one != BusinessDays()


def test_a_day_cannot_be_both() -> None:
    """Which of the two lists wins is not left to the reader's memory."""
    with pytest.raises(InvalidArgumentError, match=r"^2026-12-24 is in extra_holidays and in"):
        BusinessDays(extra_holidays=[CHRISTMAS_EVE], extra_business_days=[CHRISTMAS_EVE])


@pytest.mark.parametrize(
    "moment", [datetime(2026, 5, 9, 18, tzinfo=UTC), kst(2026, 5, 10, 3)], ids=["utc", "kst"]
)
def test_a_datetime_is_refused(moment: datetime) -> None:
    """03:00 KST has the date of the day before on a UTC clock, so the zone must be said."""
    for ask in (
        BusinessDays().is_business_day,
        BusinessDays().next_business_day,
        BusinessDays().holiday_name,
        lambda day: BusinessDays(extra_holidays=[day]),
        lambda day: BusinessDays(extra_business_days=[day]),
    ):
        with pytest.raises(InvalidArgumentError, match=r"write moment\.astimezone\(KST\)\.date"):
            ask(moment)


@pytest.mark.parametrize("value", ["2026-05-01", 20260501, None])
def test_what_is_no_date_is_refused(value: Any) -> None:
    """The message names the argument and shows how to write a date."""
    with pytest.raises(InvalidArgumentError, match=r"^extra_holidays: .* is not a date; write"):
        BusinessDays(extra_holidays=[value])


@pytest.mark.parametrize("dtype", ["datetime64[s]", "datetime64[ns]", "int64"])
def test_an_array_of_other_than_days_is_refused(dtype: str) -> None:
    """Instants would be cut to days in UTC."""
    with pytest.raises(InvalidArgumentError, match=r"dtype .*tz_convert\('Asia/Seoul'\)"):
        BusinessDays().are_business_days(np.zeros(1, dtype))


@pytest.mark.parametrize("year", [1947, 2101])
def test_a_year_that_the_package_does_not_know_is_refused(year: int) -> None:
    """The package itself would answer that such a year has no holidays."""
    with pytest.raises(InvalidArgumentError, match=rf"the year {year} are not known.*1948 to 2100"):
        BusinessDays().is_business_day(date(year, 5, 5))


def test_a_missing_package_is_said_when_the_calendar_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not at the first run of a job; the message is the command that installs it."""
    holidays._korean_holidays.cache_clear()
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kst-scheduler\[holidays\]'"):
        BusinessDays()


def test_importing_the_module_does_not_import_the_package() -> None:
    """It is an extra, and takes long to import."""
    code = "import sys, kst_scheduler.triggers.business_days; assert 'holidays' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_years_are_looked_up_once() -> None:
    """A second pass over fifty years asks the package nothing."""
    calendar = BusinessDays()
    days = np.arange("2000-01-01", "2050-01-01", dtype="datetime64[D]")
    calendar.are_business_days(days)
    asked = holidays._korean_holidays.cache_info().misses
    calendar.are_business_days(days)
    assert calendar.is_business_day(date(2026, 5, 11))
    assert holidays._korean_holidays.cache_info().misses == asked


def test_dates_beyond_the_ends_of_a_year_are_not_confused() -> None:
    """The flags of a year begin on 1 January and end on 31 December, leap years included."""
    calendar = BusinessDays()
    for year in (2023, 2024):
        last = date(year, 12, 31)
        flags = calendar.are_business_days(np.array([last, last + timedelta(days=1)], "M8[D]"))
        assert flags.tolist() == [calendar.is_business_day(last), False]


class _Company(BusinessDays):
    """Calendars with a day off of their own, which are equal all the same."""

    def __init__(self, off: date) -> None:
        super().__init__()
        object.__setattr__(self, "off", off)

    def holidays(self, year: int) -> dict[date, str]:
        off: date = self.off  # type: ignore[attr-defined]
        return super().holidays(year) | {off: "Founding day"}


def test_calendars_of_a_subclass_are_not_confused() -> None:
    """They compare by the fields of BusinessDays, and each has holidays of its own."""
    tuesday, wednesday = date(2026, 5, 12), date(2026, 5, 13)
    calendars = [_Company(tuesday), _Company(wednesday)]
    assert calendars[0] == calendars[1]
    worked = [[each.is_business_day(day) for day in (tuesday, wednesday)] for each in calendars]
    assert worked == [[False, True], [True, False]]
