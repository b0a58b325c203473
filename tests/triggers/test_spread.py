from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times import fire_times
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron
from kst_scheduler.triggers.spread import spread

STORED = [
    ("crawl-042", 10, 9 * 60 + 2),
    ("crawl-042", 60, 9 * 60 + 2),
    ("crawl-042", 1, 2),
    ("daily-nps-crawl", 10, 6 * 60 + 2),
    ("daily-nps-crawl", 60, 16 * 60 + 2),
    ("작업", 10, 1 * 60 + 13),
]
"""What replicas of all versions must agree on: id, minutes, seconds after the hour."""


def seconds(job_id: str, minutes: int) -> int:
    """Return how long after the full hour a job starts."""
    fields = spread(job_id, minutes)
    assert list(fields) == ["minute", "second"]
    return fields["minute"] * 60 + fields["second"]


@pytest.mark.parametrize(("job_id", "minutes", "expected"), STORED)
def test_the_time_of_a_job_never_changes(job_id: str, minutes: int, expected: int) -> None:
    """Another value in a later version would move every job of every service."""
    assert seconds(job_id, minutes) == expected


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_processes_agree_whatever_their_hash_seed(seed: str) -> None:
    """Each replica is a process of its own, and Python's hash() differs between them."""
    program = "from kst_scheduler.triggers.spread import spread; print(spread('crawl-042', 10))"
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": seed},
    )
    assert done.stdout.strip() == "{'minute': 9, 'second': 2}"


def test_500_jobs_are_spread_about_evenly() -> None:
    """Four in a second at most where all 500 were; and each minute has its tenth, or nearly."""
    times = [seconds(f"crawl-{number:03}", 10) for number in range(500)]
    minutes = Counter(time // 60 for time in times)
    assert max(Counter(times).values()) == 4
    assert sorted(minutes) == list(range(10))
    assert all(40 <= count <= 60 for count in minutes.values())


@pytest.mark.parametrize("minutes", range(1, 61))
def test_all_times_lie_within_the_span(minutes: int) -> None:
    """From the full hour on, before the minutes are over, and up to their last one."""
    times = [seconds(f"job-{number}", minutes) for number in range(1_000)]
    assert 0 <= min(times) < 60
    assert (minutes - 1) * 60 <= max(times) < minutes * 60


def test_it_gives_cron_its_fields() -> None:
    """One fire a night, at the second of the job."""
    trigger = cron(hour=3, **spread("crawl-042", minutes=10))
    fires = fire_times(trigger, kst(2026, 5, 10), kst(2026, 5, 12))
    assert list(fires) == [kst(2026, 5, 10, 3, 9, 2), kst(2026, 5, 11, 3, 9, 2)]


@pytest.mark.parametrize("minutes", [0, -1, 61, 1.5, True, "10", None])
def test_a_span_that_is_none_is_refused(minutes: Any) -> None:
    """The message has the value, and what to write."""
    with pytest.raises(InvalidArgumentError, match=f"minutes={minutes!r} is no span.*minutes=10"):
        spread("crawl-042", minutes)


@pytest.mark.parametrize("job_id", ["", None, 42, b"crawl"])
def test_an_id_that_is_none_is_refused(job_id: Any) -> None:
    """A function in place of its id would be another one in each process."""
    with pytest.raises(InvalidArgumentError, match=r"job_id=.* names no job"):
        spread(job_id, 10)


def test_any_text_is_an_id() -> None:
    """Whatever APScheduler takes: also half of a surrogate pair."""
    assert 0 <= seconds("\ud800", 10) < 600
