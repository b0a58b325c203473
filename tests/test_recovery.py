"""What benchmarks/recovery.py counts as lost and as doubled."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from benchmark_scripts import load_script

CUT, LIVING = 1, 2
"""Processes; the first is killed at 50.05 s."""


@pytest.fixture(scope="module")
def recovery() -> Any:
    """Return the benchmark, as a module."""
    return load_script("recovery")


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([], (1, 0, 0)),
        ([(LIVING, 50.0)], (0, 0, 0)),
        ([(LIVING, 50.0), (LIVING, 51.0)], (0, 1, 0)),
        ([(CUT, 50.0), (LIVING, 51.0)], (0, 0, 1)),
        ([(LIVING, 50.0), (CUT, 50.01)], (0, 1, 0)),
        ([(CUT, 49.0), (LIVING, 51.0)], (0, 1, 0)),
        ([(CUT, 50.0), (LIVING, 51.0), (LIVING, 52.0)], (0, 1, 0)),
    ],
    ids=["never", "once", "twice", "cut", "cut too late", "killed long after", "cut, then twice"],
)
def test_each_occurrence_is_lost_doubled_or_cut(
    recovery: Any, ends: list[tuple[int, float]], expected: tuple[int, int, int]
) -> None:
    """Only a process that was killed right after the work excuses the next end."""
    load = recovery.Load(Mock(), 1, 1, taken={7})
    workers = recovery.Workers("", "", Mock(), 1, supervised=False, killed_at={CUT: 50.05})
    ended = [(1, LIVING, 0.5), *((7, process, at) for process, at in ends)]
    result = recovery.result(ended, load, workers, recovery.Spans(1, 1, 1), 0.0, 0.0)
    assert (result.lost, result.doubled, result.cut) == expected


def of_rates(recovery: Any, before: int, *after: int) -> Any:
    """Return what is said of so many ends in the second before a fault, and in those after it."""
    counts = [before, *after]
    ended = [(0, LIVING, second + 0.5) for second, count in enumerate(counts) for _ in range(count)]
    workers = recovery.Workers("", "", Mock(), 1, supervised=False)
    spans = recovery.Spans(1, 0, len(after))
    return recovery.result(ended, recovery.Load(Mock(), 1, 1), workers, spans, 0.0, 1.0)


def test_a_system_that_dies_again_has_not_recovered(recovery: Any) -> None:
    """One good second after the fault is not enough."""
    assert of_rates(recovery, 100, 100, 0, 0).recovered is None
    assert of_rates(recovery, 100, 0, 100, 95).recovered == 2


def test_without_a_rate_before_the_fault_nothing_is_said_of_the_one_after_it(recovery: Any) -> None:
    """Nine tenths of nothing are nothing."""
    with pytest.raises(SystemExit, match="no run has ended before the fault"):
        of_rates(recovery, 0, 100)
