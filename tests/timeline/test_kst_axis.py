from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kst_scheduler.timeline import plot_lateness, plot_timeline
from kst_scheduler.timeline.kst_axis import tick_labels, ticks
from kst_scheduler.timezone import UTC, kst

START = pd.Timestamp(kst(2026, 5, 10))


@pytest.mark.parametrize(
    ("length", "step"),
    [
        (timedelta(seconds=0.8), "100ms"),
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


@pytest.mark.parametrize(
    ("length", "jobs", "first", "step"),
    [
        (timedelta(hours=12), [[3], [12]], 3, "2h"),  # the first of the two
        (timedelta(hours=12), [[12], [3]], 4, "2h"),
        (timedelta(hours=15), [range(24), [3]], 3, "2h"),  # an hourly job has a tick anyway
        (timedelta(hours=22), [[3], [12]], 3, "3h"),
        (timedelta(days=3), [[3]], 3, "12h"),
        (timedelta(days=6), [[3]], 3, "1D"),
        (timedelta(days=31), [[3], range(24)], 3, "7D"),
        (timedelta(days=6), [[3], [6]], 24, "1D"),  # no hour has both
        (timedelta(hours=12), [[2.5]], 4, "2h"),
        (timedelta(hours=3), [[3]], 2.5, "30min"),
    ],
)
def test_ticks_stand_at_the_times_of_jobs(
    length: timedelta, jobs: list[list[float]], first: float, step: str
) -> None:
    """Where ticks are hours apart they begin so that most jobs have one; half hours stay round."""
    start = pd.Timestamp(kst(2026, 5, 10, 2, 30))
    events = [np.array([int(hour * 3600) for hour in hours]) for hours in jobs]
    found = ticks(start, start + length, 600, events)
    assert found[0] == pd.Timestamp(kst(2026, 5, 10)) + timedelta(hours=first)
    assert found.equals(pd.date_range(found[0], start + length, freq=step))


def test_the_time_of_a_run_is_on_the_axis(table: Any) -> None:
    """A week of nights at 03:00 has ticks at 03:00, and the time between two fires of a second."""
    runs = table()
    for day in range(6):
        runs.run("A", "nightly", kst(2026, 5, 10, 3) + timedelta(days=day))
    start, end = kst(2026, 5, 10), kst(2026, 5, 16)
    for ax in (plot_timeline(runs.table(), start=start, end=end), plot_lateness(runs.table())):
        labels = [label.get_text() for label in ax.get_xticklabels()]
        assert all(label.startswith("03:00") for label in labels), labels
        assert len(labels) == 6


def test_less_than_a_second_has_fractions() -> None:
    """The tenth is written where there is one."""
    moments = ticks(START, START + timedelta(seconds=1), 150)
    assert tick_labels(moments, seconds=True)[:3] == [
        "00:00:00\n10 May 2026",
        "00:00:00.5",
        "00:00:01",
    ]


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
