import re
from typing import Any

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from kst_scheduler.triggers.cron_fields import values
from kst_scheduler.triggers.phrases import (
    DAY,
    clock,
    clock_phrase,
    count_phrase,
    day_phrase,
    length,
    place_phrase,
    times_phrase,
)

UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


def _fields(**fields: Any) -> dict[str, Any]:
    trigger = CronTrigger(timezone="Asia/Seoul", **fields)
    return {field.name: field for field in trigger.fields}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"hour": 3}, "every day"),
        ({"day": "1-31", "hour": 3}, "every day"),
        ({"day_of_week": "mon-fri"}, "every weekday"),
        ({"day_of_week": "mon,wed,fri"}, "every Monday, Wednesday and Friday"),
        ({"day_of_week": "mon-thu,sat"}, "every Monday to Thursday and Saturday"),
        ({"day_of_week": 6}, "every Sunday"),
        ({"day": 1}, "on day 1 of every month"),
        ({"day": "1,15"}, "on days 1 and 15 of every month"),
        ({"day": "1-7,20,31"}, "on days 1 to 7, 20 and 31 of every month"),
        ({"day": "last"}, "on the last day of every month"),
        (
            {"day": "1st mon,last fri,15"},
            "on the 1st Monday, the last Friday and day 15 of every month",
        ),
        ({"month": "1,7", "day": 1}, "on day 1 of January and July"),
        ({"month": "jun-aug", "day": "*"}, "every day in June to August"),
        ({"month": 5, "day_of_week": "sat,sun", "day": "*"}, "every Saturday and Sunday in May"),
        (
            {"day": "1-7", "day_of_week": "mon"},
            "every Monday that is day 1 to 7 of the month",
        ),
        (
            {"month": 12, "day": "last", "day_of_week": "fri"},
            "every Friday that is the last day of the month in December",
        ),
        ({"week": "1-20", "day_of_week": 0}, "every Monday in ISO week 1-20"),
        ({"year": 2030, "month": "*"}, "on day 1 of every month in the year 2030"),
    ],
)
def test_days_are_said_in_words(fields: dict[str, Any], expected: str) -> None:
    """Names instead of numbers, three or more in a row as a range."""
    assert day_phrase(_fields(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"hour": 3}, "at 03:00"),
        ({"hour": 3, "minute": 4, "second": 5}, "at 03:04:05"),
        ({"hour": "9,12,18"}, "at 09:00, 12:00 and 18:00"),
        ({"hour": "*/6"}, "at 00:00, 06:00, 12:00 and 18:00"),
        ({"hour": "*/2"}, "every 2 hours"),
        ({"hour": "1-23/2", "minute": 15}, "every 2 hours from 01:15 to 23:15"),
        ({"minute": 0}, "every hour, on the hour"),
        ({"minute": 30}, "every hour at :30"),
        ({"minute": 0, "second": 5}, "every hour at :00:05"),
        ({"minute": "0,5,10"}, "every hour at :00, :05 and :10"),
        ({"minute": "*"}, "every minute"),
        ({"minute": "*/10"}, "every 10 minutes"),
        ({"minute": "5/10"}, "every 10 minutes from 00:05 to 23:55"),
        ({"hour": "9-17", "minute": "*/30"}, "every 30 minutes from 09:00 to 17:30"),
        ({"second": "*"}, "every second"),
        ({"minute": "*/7"}, "every 7 minutes from :00 to :56 of every hour"),
        ({"minute": "5-55/7", "second": 30}, "every 7 minutes from :05:30 to :54:30 of every hour"),
        ({"hour": "9-17", "minute": "*/7"}, "every 7 minutes from :00 to :56 of the hours 9 to 17"),
        ({"hour": 3, "minute": "*/7"}, "every 7 minutes from 03:00 to 03:56"),
        ({"hour": "9-17", "minute": "*/25"}, "at :00, :25 and :50 of the hours 9 to 17"),
        ({"hour": "9-12,14-17", "minute": 0}, "at :00 of the hours 9 to 12 and 14 to 17"),
        ({"hour": "1,4-20", "minute": "3,17"}, "at :03 and :17 of the hours 1 and 4 to 20"),
        ({"minute": "0-9"}, "every minute from :00 to :09 of every hour"),
        ({"second": "*/7"}, "every 7 seconds from second 0 to 56 of every minute"),
        ({"second": "*/40"}, "at seconds 0 and 40 of every minute"),
        (
            {"hour": 3, "minute": "*", "second": "*/40"},
            "at seconds 0 and 40 of every minute of the hour 3",
        ),
        ({"minute": "1,2,3,5,8,13,21"}, "at (hour=*, minute=1,2,3,5,8,13,21, second=0)"),
        ({"minute": "*/2", "second": "*/7"}, "at (hour=*, minute=*/2, second=*/7)"),
    ],
)
def test_clock_times_are_said_in_few_words(fields: dict[str, Any], expected: str) -> None:
    """A list, a step, or the fields where neither is short and exact."""
    assert clock_phrase(_fields(**fields)) == expected


def _seconds(text: str) -> int:
    hour, minute, second = (*map(int, text.split(":")), 0)[:3]
    return 3_600 * hour + 60 * minute + second


def _read(phrase: str) -> list[int]:
    """Read a phrase back, by what its words mean to a person."""
    if phrase.startswith("at "):
        return [_seconds(time) for time in re.findall(r"[\d:]+", phrase)]
    if phrase == "every hour, on the hour":
        return list(range(0, DAY, 3_600))
    if match := re.fullmatch(r"every hour at (:.*)", phrase):
        return list(range(_seconds("00" + match[1]), DAY, 3_600))
    match = re.fullmatch(r"every (?:(\d+) )?([a-z]+?)s?(?: from (\S+) to (\S+))?", phrase)
    assert match, phrase
    step = int(match[1] or 1) * UNITS[match[2]]
    first, last = (_seconds(match[3]), _seconds(match[4])) if match[3] else (0, DAY - 1)
    return list(range(first, last + 1, step))


@given(
    st.one_of(
        st.sets(st.integers(0, DAY - 1), min_size=1, max_size=8),
        st.builds(
            range,
            st.integers(0, 7_200),
            st.integers(7_201, DAY),
            st.sampled_from([1, 30, 60, 3_600]),
        ),
        st.sampled_from([60, 600, 3_600, 7_200, 21_600]).flatmap(
            lambda step: st.integers(0, step - 1).map(lambda first: range(first, DAY, step))
        ),
    )
)
def test_a_phrase_means_the_times_that_it_was_made_of(times: Any) -> None:
    """Read back word by word it gives the same clock times, or it says nothing."""
    times = sorted(times)
    phrase = times_phrase(times)
    assert phrase == "" or _read(phrase) == times
    assert phrase or len(times) > 6


def _steps_in(text: str) -> list[int]:
    """Read "at :00 and :25", or "every 7 minutes from :00 to :56", within an hour or a minute."""
    marks = [_within(mark) for mark in re.findall(r"(?<![\w:])[:\d]+", text.partition(" from ")[2])]
    if match := re.match(r"every (?:(\d+) )?(minute|second)", text):
        return list(range(marks[0], marks[1] + 1, int(match[1] or 1) * UNITS[match[2]]))
    return [_within(mark) for mark in re.findall(r"[:\d]+", text)]


def _within(mark: str) -> int:
    return _seconds("00" + mark) if mark.startswith(":") else int(mark)


@given(
    st.sampled_from(["*", "9-17", "0-23/3", "1,4-20", "3"]),
    st.one_of(
        st.sampled_from(["*", "*/7", "*/25", "5-55/7", "0-9", "0"]),
        st.sets(st.integers(0, 59), min_size=1, max_size=7).map(
            lambda some: ",".join(map(str, some))
        ),
    ),
    st.sampled_from(["0", "30", "*", "*/7", "*/40", "*/15", "0-9"]),
)
def test_clock_phrases_that_begin_anew_mean_what_the_fields_match(
    hour: str, minute: str, second: str
) -> None:
    """Read back word by word, or the fields are shown as they are."""
    fields = _fields(hour=hour, minute=minute, second=second)
    phrase = clock_phrase(fields)
    match = re.fullmatch(r"(.*?) of every (?:minute|hour)(?: of the hours? (.*))?", phrase)
    match = match or re.fullmatch(r"(.*?) of the hours? (.*)", phrase)
    if not match:
        return
    hours = list(range(24))
    if match[2]:
        named = re.sub(r" to ", "-", match[2]).replace(" and ", ",").replace(" ", "")
        hours = values(_fields(hour=named, minute=0)["hour"])
    within = _steps_in(match[1])
    if "every minute" in phrase.removeprefix("every minute from"):
        within = [60 * each + mark for each in range(60) for mark in within]
    expected = [
        60 * one + other for one in values(fields["minute"]) for other in values(fields["second"])
    ]
    assert (hours, within) == (values(fields["hour"]), expected)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"years": 0, "months": 1}, "month"),
        ({"years": 1, "months": 2, "weeks": 0, "days": 3}, "1 year, 2 months and 3 days"),
        ({"weeks": 2}, "2 weeks"),
    ],
)
def test_counts_of_units_are_said_in_order(counts: dict[str, int], expected: str) -> None:
    """One of a single unit needs no number."""
    assert count_phrase(counts) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, "second"),
        (90, "90 seconds"),
        (3_600, "hour"),
        (5_400, "90 minutes"),
        (86_400, "day"),
        (1_209_600, "2 weeks"),
    ],
)
def test_a_length_has_the_largest_unit_that_fits(seconds: int, expected: str) -> None:
    """No fractions and no mixed units."""
    assert length(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "00:00"), (10_800, "03:00"), (86_399, "23:59:59")]
)
def test_a_clock_shows_seconds_only_where_there_are_some(seconds: int, expected: str) -> None:
    """Two digits each."""
    assert clock(seconds) == expected


@pytest.mark.parametrize(
    ("nth", "expected"),
    [
        (1, "the 1st"),
        (2, "the 2nd"),
        (3, "the 3rd"),
        (4, "the 4th"),
        (11, "the 11th"),
        (12, "the 12th"),
        (13, "the 13th"),
        (21, "the 21st"),
        (22, "the 22nd"),
        (23, "the 23rd"),
        (-1, "the last"),
        (-2, "the 2nd to last"),
        (-3, "the 3rd to last"),
    ],
)
def test_a_place_in_a_row_is_said_as_a_person_does(nth: int, expected: str) -> None:
    """Counted from either end."""
    assert place_phrase(nth) == expected
