from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pandas as pd
import pytest

from kst_scheduler import kst
from kst_workbook.exercises.exercise import NotYetError
from kst_workbook.exercises.judging import require_time


@pytest.mark.parametrize(
    "value",
    [
        "03:20",
        "3:20",
        " 03:20 ",
        time(3, 20),
        kst(2026, 5, 10, 3, 20),
        datetime(2026, 5, 9, 18, 20, tzinfo=UTC),
        pd.Timestamp("2026-05-10 03:20", tz="Asia/Seoul"),
    ],
)
def test_a_time_may_be_written_in_many_ways(value: Any) -> None:
    """In words, as a time, or as a moment in any zone."""
    assert require_time(value, "`crawl`") == "03:20"


@pytest.mark.parametrize("value", [320, None, "25:00", "noon", b"03:20", ["03:20"]])
def test_what_is_no_time_is_shown(value: Any) -> None:
    """With what to write instead."""
    with pytest.raises(NotYetError, match=r"`crawl` has .*Write a time such as 03:05, in quotes"):
        require_time(value, "`crawl`")


def test_a_moment_needs_its_zone() -> None:
    """As everywhere else."""
    with pytest.raises(NotYetError, match="which is in no zone"):
        require_time(datetime(2026, 5, 10, 3, 20), "`crawl`")  # noqa: DTZ001 - the point
