from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from kst_scheduler.timeline.kst_axis import tick_labels, ticks
from kst_scheduler.timezone import UTC, kst

START = pd.Timestamp(kst(2026, 5, 10))


@pytest.mark.parametrize(
    ("length", "step"),
    [
        (timedelta(seconds=8), "1s"),
        (timedelta(minutes=1), "10s"),
        (timedelta(hours=1), "10min"),
        (timedelta(hours=18), "2h"),
        (timedelta(days=1), "3h"),
        (timedelta(days=7), "1D"),
        (timedelta(days=31), "7D"),
    ],
)
def test_the_step_follows_the_span(length: timedelta, step: str) -> None:
    """From seconds to weeks, ticks stand at round times of Korean time, with room for labels."""
    found = ticks(START, START + length, 600)
    assert found.equals(pd.date_range(START, START + length, freq=step))
    assert 4 < len(found) <= 10


@pytest.mark.parametrize(("days", "months"), [(365, {1, 3, 5, 7, 9, 11}), (4000, {1})])
def test_months_and_years_begin_where_they_begin(days: int, months: set[int]) -> None:
    """Beyond some weeks the ticks are firsts of months, then of years."""
    found = ticks(START, START + timedelta(days=days), 600)
    assert {moment.day for moment in found} == {1}
    assert 3 < len(found) <= 10
    assert {moment.month for moment in found} == months


def test_ticks_are_round_also_when_the_span_is_not() -> None:
    """A span that begins at 04:58 has its first tick at 05:00."""
    start = pd.Timestamp(kst(2026, 5, 10, 4, 58))
    found = ticks(start, start + timedelta(hours=2), 600)
    assert found[0] == pd.Timestamp(kst(2026, 5, 10, 5))


def test_each_date_is_written_once_and_the_year_when_it_changes() -> None:
    """The first tick says the whole date; later ones say what is new."""
    moments = pd.date_range(kst(2026, 12, 31, 12), periods=4, freq="6h")
    labels = tick_labels(moments, seconds=False)
    assert labels == ["12:00\n31 Dec 2026", "18:00", "00:00\n1 Jan 2027", "06:00"]
    above = tick_labels(moments.tz_convert(UTC), seconds=False, upwards=True)
    assert above == ["31 Dec 2026\n03:00", "09:00", "15:00", "21:00"]
