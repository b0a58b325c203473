from __future__ import annotations

from datetime import date
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from kst_scheduler import fire_times, kst
from kst_workbook.explorers import misfire, replica_code, trigger
from kst_workbook.explorers.as_code import moment_as_code
from kst_workbook.explorers.misfire import NO_LIMIT, Morning
from kst_workbook.explorers.replica_night import LOCKS, Night, replay
from kst_workbook.explorers.trigger import OURS, THEIRS, Question, read


def run(code: str) -> dict[str, Any]:
    """Run code as a cell does, and return what it has defined."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "<cell>", "exec"), names)  # noqa: S102 - it is what is tested
    plt.close("all")
    return names


@pytest.mark.parametrize(
    "morning",
    [
        Morning(),
        Morning(NO_LIMIT, coalesce=True, max_instances=3, job=12, freeze=90),
        Morning(freeze=0, job=0),
    ],
)
def test_the_code_of_a_morning_gives_the_same_table(morning: Morning) -> None:
    """A reader who copies it has what the picture shows."""
    result = run(misfire.write_code(morning))["result"]
    assert result.runs.equals(misfire.replay(morning).runs)
    assert result.incidents.equals(misfire.replay(morning).incidents)


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize(
    "more", [{}, {"replicas": 4, "skew": 30, "lease": 60, "job": 240, "freeze": 9}]
)
def test_the_code_of_a_night_gives_the_same_table(lock: str, more: dict[str, int]) -> None:
    """Each lock is written as notebook 07 writes it."""
    night = Night(lock=lock, **more)
    result = run(replica_code.write_code(night))["result"]
    expected = replay(night).result
    assert result.runs.equals(expected.runs)
    assert result.incidents.equals(expected.incidents)


@pytest.mark.parametrize(
    "question",
    [
        Question("30 7 * * 1"),
        Question("cron(hour='*/6', day_of_week='mon')", date(2026, 12, 28)),
        Question("@daily"),
    ],
)
def test_the_code_of_a_trigger_gives_the_same_fire_times(question: Question) -> None:
    """A line that APScheduler refuses has only the reading that is meant."""
    triggers = run(trigger.write_code(question))["triggers"]
    fires = read(question)
    expected = {OURS: fires.trigger, THEIRS: fires.on_host}
    assert triggers.keys() == {name for name, meant in expected.items() if meant}
    span = question.midnight, question.midnight + pd.Timedelta(days=7)
    for name, made in triggers.items():
        assert fire_times(made, *span).equals(fire_times(expected[name], *span))


def test_a_moment_is_as_short_as_a_reader_would_write_it() -> None:
    """Midnight has no hour, and a full hour no minutes."""
    assert moment_as_code(kst(2026, 5, 10)) == "kst(2026, 5, 10)"
    assert moment_as_code(kst(2026, 5, 10, 3)) == "kst(2026, 5, 10, 3)"
    assert moment_as_code(kst(2026, 5, 10, 3, 2)) == "kst(2026, 5, 10, 3, 2)"
