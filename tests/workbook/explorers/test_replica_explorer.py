from __future__ import annotations

import pytest

from kst_workbook.explorers import replica_explorer
from kst_workbook.explorers.replica import say
from kst_workbook.explorers.replica_night import (
    NO_LOCK,
    ONCE,
    REDIS_LOCK,
    REFUSES,
    WAITS,
    Night,
    replay,
)

BLINK = {"job": 15, "skew": 30}
"""A job shorter than the clocks are apart."""
OUTLIVED = {"job": 240, "skew": 120, "lease": 60}
"""A job that takes longer than its lease."""
FROZEN = {"job": 240, "freeze": 20}
"""A holder that is frozen until after the next occurrence."""


@pytest.mark.parametrize(
    ("night", "runs_of_each", "at_once"),
    [
        (Night(lock=NO_LOCK), [3, 3], 3),
        (Night(lock=WAITS), [3, 3], 1),
        (Night(lock=WAITS, job=240, lease=60), [3, 3], 3),
        (Night(lock=REFUSES), [1, 1], 1),
        (Night(lock=REFUSES, **BLINK), [3, 3], 1),
        (Night(lock=REFUSES, **OUTLIVED), [3, 3], 3),
        (Night(lock=REFUSES, **FROZEN), [1, 1], 2),
        (Night(lock=REDIS_LOCK, **BLINK), [3, 3], 1),
        (Night(lock=REDIS_LOCK, **OUTLIVED), [1, 1], 1),
        (Night(lock=REDIS_LOCK, **FROZEN), [1, 1], 1),
        (Night(lock=ONCE, **BLINK), [1, 1], 1),
        (Night(lock=ONCE, **OUTLIVED), [1, 1], 1),
        (Night(lock=ONCE, replicas=4, **FROZEN), [1, 1], 1),
    ],
)
def test_each_lock_keeps_its_promises_and_no_others(
    night: Night, runs_of_each: list[int], at_once: int
) -> None:
    """What notebook 07 says of each kind, by the work that was done under it."""
    outcome = replay(night)
    assert (outcome.runs_of_each, outcome.at_once) == (runs_of_each, at_once)


def test_the_same_settings_give_the_same_night() -> None:
    """A picture depends on nothing but its parameters, the random tokens of locks included."""
    night = Night(lock=ONCE)
    assert replay(night).result.runs.equals(replay(night).result.runs)


def test_the_sentence_counts_both_kinds_of_duplicates() -> None:
    """Whole runs too many, and work at the same time, are told apart."""
    night = Night(lock=WAITS)
    assert say(night, replay(night)) == (
        "Ran more than once: <b>2 of 2 occurrences</b>, up to 3 times. "
        "Replicas at work at once: <b>1</b> at most."
    )
    night = Night(replicas=1)
    assert "<b>0 of 2 occurrences</b>. " in say(night, replay(night))


def test_each_control_changes_the_picture() -> None:
    """Every slider and the choice of the lock draw anew at once."""
    explorer = replica_explorer()
    pictures = [explorer.picture.value]
    changed = {"lock": REFUSES, "skew": 60, "job": 240, "lease": 60, "replicas": 2, "freeze": 20}
    assert changed.keys() == explorer.controls.keys()
    for name, value in changed.items():
        explorer.controls[name].value = value
        pictures.append(explorer.picture.value)
    assert len(set(pictures)) == len(pictures)
