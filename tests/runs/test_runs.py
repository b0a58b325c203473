from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.table import COLUMNS, STATUSES, RunLog, check_runs, duplicates, lateness
from kst_scheduler.timezone import kst

THREE = microseconds(kst(2026, 5, 10, 3))
FOUR = microseconds(kst(2026, 5, 10, 4))
SECOND = 1_000_000


@pytest.fixture
def log() -> RunLog:
    """Return a log of four rows, added out of order."""
    log = RunLog()
    log.add("B", "token", FOUR, "missed", detail="0:10:00 late")
    log.add("B", "nps", THREE, "ok", THREE + 5 * SECOND, THREE + 9 * SECOND)
    log.add("A", "nps", THREE, "ok", THREE + SECOND, THREE + 2 * SECOND)
    log.add("A", "token", THREE, "running", THREE)
    return log


def test_dtypes(log: RunLog) -> None:
    """The table has the promised columns and dtypes, also when it is empty."""
    for table in (log.table(), RunLog().table()):
        assert tuple(table.columns) == COLUMNS
        dtypes = table.dtypes.astype(str)
        assert set(dtypes[["scheduled_at", "started_at", "finished_at"]]) == {
            "datetime64[us, Asia/Seoul]"
        }
        assert set(dtypes[["node", "job_id", "detail"]]) == {"str"}
        assert list(table["status"].cat.categories) == list(STATUSES)
        assert table["status"].cat.ordered


def test_order(log: RunLog) -> None:
    """Rows are ordered by scheduled time, node and job, however they were added."""
    rows = log.table()[["node", "job_id"]].to_numpy().tolist()
    assert rows == [["A", "nps"], ["A", "token"], ["B", "nps"], ["B", "token"]]


def test_values(log: RunLog) -> None:
    """Times, NaT, status and detail of a row are those that were added."""
    last = log.table().iloc[-1]
    assert last["scheduled_at"] == kst(2026, 5, 10, 4)
    assert pd.isna(last["started_at"])
    assert last["status"] == "missed"
    assert last["detail"] == "0:10:00 late"


def test_copy_is_independent(log: RunLog) -> None:
    """Rows added to a copy are not in the original."""
    log.copy().add("C", "nps", THREE, "ok")
    assert len(log) == len(log.table()) == 4


def test_table_can_be_made_again_after_more_rows(log: RunLog) -> None:
    """Making a table does not stop the log from growing."""
    log.table()
    log.add("C", "nps", THREE, "ok")
    assert len(log.table()) == 5


@pytest.mark.parametrize("count", [1, 10, 12, 13, 14, 1000])
def test_a_log_with_a_limit_keeps_the_last_rows(count: int) -> None:
    """They are the same rows as without one, and what only the others had is forgotten."""
    limited, unlimited = RunLog(max_rows=10), RunLog()
    for number in range(count):
        for log in (limited, unlimited):
            log.add("A", f"job-{number // 3}", number, "ok", number + 1, detail=f"run {number}")
    assert min(count, 10) <= len(limited) <= 12
    expected = unlimited.table().iloc[-len(limited) :].reset_index(drop=True)
    pd.testing.assert_frame_equal(limited.table(), expected)
    pd.testing.assert_frame_equal(limited.copy().table(), expected)
    assert f"job-{(count - 1) // 3}" in limited.job_ids()
    assert ("job-0" in limited.job_ids()) == (count < 13)
    assert len(limited._labels) <= 13


def test_duplicates_are_what_started_twice(log: RunLog) -> None:
    """Only occurrences that started more than once are listed, nodes in the order of start."""
    log.add("C", "nps", THREE, "locked_out", THREE + 3 * SECOND, THREE + 3 * SECOND)
    listed = duplicates(log.table())
    assert listed.columns.tolist() == ["job_id", "scheduled_at", "runs", "nodes"]
    assert listed["runs"].tolist() == [2]
    assert listed["nodes"].tolist() == ["A, B"]
    assert duplicates(RunLog().table()).empty


def test_lateness(log: RunLog) -> None:
    """Lateness is the start minus the scheduled time, and NaT without a start."""
    late = lateness(log.table())
    assert late.tolist()[:3] == [timedelta(seconds=1), timedelta(0), timedelta(seconds=5)]
    assert pd.isna(late.iloc[3])


def test_check_accepts_and_converts_tables_of_readers(log: RunLog) -> None:
    """A table with other units, another zone and plain strings is brought into the schema."""
    table = log.table()
    other = table.assign(
        scheduled_at=table["scheduled_at"].dt.tz_convert("UTC").astype("datetime64[s, UTC]"),
        status=table["status"].astype("str"),
    )
    pd.testing.assert_frame_equal(check_runs(other), table)


def test_check_names_missing_columns(log: RunLog) -> None:
    """The missing columns are named, and those that are there."""
    with pytest.raises(
        InvalidArgumentError, match=r"lacks the column\(s\) node, status; it has job"
    ):
        check_runs(log.table().drop(columns=["node", "status"]))


def test_check_names_unknown_statuses(log: RunLog) -> None:
    """An unknown status is named, with the known ones."""
    table = log.table().assign(status=["ok", "fail", "ok", "okay"])
    with pytest.raises(
        InvalidArgumentError, match=r"unknown status 'fail', 'okay'; .* knows ok, er"
    ):
        check_runs(table)


def test_check_refuses_naive_times(log: RunLog) -> None:
    """A naive column is refused, and the message says how to give it a zone."""
    table = log.table()
    naive = table.assign(started_at=table["started_at"].dt.tz_localize(None))
    with pytest.raises(InvalidArgumentError, match=r"started_at.*dt.tz_localize\('Asia/Seoul'\)"):
        check_runs(naive)


def test_locked_out_is_no_duplicate() -> None:
    """A node that was kept out did not run, though its job function began."""
    log = RunLog()
    log.add("A", "nps", THREE, "ok", THREE, THREE + SECOND)
    log.add("B", "nps", THREE, "locked_out", THREE, THREE)
    assert duplicates(log.table()).empty


def test_large_tables_do_not_copy_names() -> None:
    """A hundred thousand rows share the strings of their few names."""
    log = RunLog()
    for index in range(100_000):
        log.add("A", f"job-{index % 10}", THREE + index, "ok")
    names = log.table()["job_id"].to_numpy()
    assert len(np.unique([id(name) for name in names])) == 10
