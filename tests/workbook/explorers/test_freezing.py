from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from kst_scheduler import kst
from kst_workbook.explorers import misfire_explorer, replica_explorer
from kst_workbook.explorers.freezing import freezes
from kst_workbook.explorers.misfire import Morning
from kst_workbook.explorers.misfire import replay as replay_morning
from kst_workbook.explorers.replica_night import NO_LOCK, Night
from kst_workbook.explorers.replica_night import replay as replay_night

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd


def end_of_the_run(runs: pd.DataFrame, scheduled_at: datetime) -> datetime:
    """Return when A's run of that time ended."""
    mine = (runs["node"] == "A") & (runs["scheduled_at"] == scheduled_at)
    ended: datetime = runs[mine].iloc[0]["finished_at"]
    return ended


def test_work_that_a_freeze_stopped_is_done_after_it_in_each_explorer() -> None:
    """Four of nine minutes are left at 08:35, and two of four at 03:02."""
    morning = replay_morning(Morning(job=9, freeze=47)).runs
    assert end_of_the_run(morning, kst(2026, 5, 11, 8, 30)) == kst(2026, 5, 11, 9, 26)
    night = replay_night(Night(lock=NO_LOCK, job=240, freeze=9)).result.runs
    assert end_of_the_run(night, kst(2026, 5, 10, 3)) == kst(2026, 5, 10, 3, 13)


def test_the_controls_say_the_same_in_each_explorer() -> None:
    """Who is frozen, from when, and in which unit."""
    labels = [
        explorer().controls["freeze"].description
        for explorer in (misfire_explorer, replica_explorer)
    ]
    assert labels == ["A frozen from 08:35 (min)", "A frozen from 03:02 (min)"]


def test_no_minutes_are_no_incident() -> None:
    """The slider begins at none."""
    assert freezes("A", kst(2026, 5, 10, 3), 0) == []
    (one,) = freezes("A", kst(2026, 5, 10, 3), 5)
    assert (one.node, one.duration) == ("A", timedelta(minutes=5))
