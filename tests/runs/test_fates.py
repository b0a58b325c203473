from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kst_scheduler.errors import InvalidArgumentError, NaiveDatetimeError
from kst_scheduler.fire_times import fire_times
from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.fates import FATES, broken_promises, fates
from kst_scheduler.runs.table import NAT, RunLog
from kst_scheduler.timezone import kst
from kst_scheduler.triggers.factories import cron

DAYS = kst(2026, 5, 10), kst(2026, 5, 12)
NIGHTLY = {"nps": fire_times(cron(hour=3), *DAYS)}


class Table(RunLog):
    """A table of runs of the job nps, written with datetimes."""

    def run(self, node: str, due: datetime, status: str = "ok", late: int = 0, **more: str) -> None:
        """Add a row; ``late`` is in minutes."""
        started = status in {"ok", "error", "cancelled"}
        start = microseconds(due + timedelta(minutes=late)) if started else NAT
        job, detail = more.get("job", "nps"), more.get("detail", "")
        self.add(node, job, microseconds(due), status, start, start, detail)


def judge(table: Table, **more: Any) -> list[tuple[str, str]]:
    """Return the fate and the reason of each occurrence."""
    judged = fates(table.table(), NIGHTLY, **more)
    return list(zip(judged["fate"].astype(str), judged["reason"], strict=True))


def test_on_time_late_and_nothing() -> None:
    """Five minutes are on time unless another limit is given; a night without a row is lost."""
    table = Table()
    table.run("A", kst(2026, 5, 10, 3), late=5)
    assert judge(table) == [("ok", ""), ("lost", "nothing ran")]
    assert judge(table, on_time=timedelta(minutes=4))[0] == ("late", "0:05:00 late")


def test_a_run_at_noon_is_the_nights_and_nine_hours_late() -> None:
    """What was meant counts, not the trigger: 03:00 UTC is the night's run, at noon, twice."""
    table = Table()
    for node in "AB":
        table.run(node, kst(2026, 5, 10, 12))
    table.run("B", kst(2026, 5, 11, 12))
    assert judge(table) == [
        ("duplicated", "ran on A, B, 9:00:00 late"),
        ("late", "9:00:00 late"),
    ]


def test_a_run_that_nobody_asked_for_is_seen() -> None:
    """Before the first wanted time of a day there is nothing that a run could stand for."""
    table = Table()
    table.run("A", kst(2026, 5, 9, 3))
    table.run("A", kst(2026, 5, 10, 2))
    table.run("B", kst(2026, 5, 11, 2), "missed")  # did not run, so nobody minds
    judged = fates(table.table(), NIGHTLY)
    assert list(judged["fate"]) == ["unwanted", "unwanted", "lost", "lost"]
    assert judged["reason"][0] == "nobody asked for it; ran on A"


def test_one_node_that_runs_it_twice_is_named_so() -> None:
    """A row with another scheduled time of the same day, on the same node."""
    table = Table()
    table.run("A", kst(2026, 5, 10, 3))
    table.run("A", kst(2026, 5, 10, 4))
    assert judge(table)[0] == ("duplicated", "ran on A 2 times")


def test_the_reason_says_what_became_of_the_runs() -> None:
    """Alike ones together; a run that was locked out says nothing where another says more."""
    table = Table()
    night, other = kst(2026, 5, 10, 3), kst(2026, 5, 11, 3)
    table.run("A", night, "cancelled", detail="the node crashed")
    table.run("B", night, "locked_out", detail="A has it")
    table.run("A", other, "error", detail="redis:ConnectionError")
    table.run("B", other, "error", detail="redis:ConnectionError")
    assert judge(table) == [
        ("lost", "cancelled on A: the node crashed"),
        ("lost", "error on A, B: redis:ConnectionError"),
    ]


def test_the_ledger_has_the_first_word() -> None:
    """Its reason is cited for what was lost or late, and a run of another job is left out."""
    table, history = Table(), Table()
    table.run("A", kst(2026, 5, 10, 3), late=60)
    table.run("A", kst(2026, 5, 10, 3), job="other")
    history.run("A", kst(2026, 5, 10, 3), detail="attempt 1 on B lost its lease")
    history.run("A", kst(2026, 5, 11, 3), "missed", detail="7:05:00 late")
    assert judge(table, history=history.table()) == [
        ("late", "1:00:00 late, attempt 1 on B lost its lease"),
        ("lost", "missed: 7:05:00 late"),
    ]


def test_promises_are_counted_from_rows() -> None:
    """A second ok, an occurrence without a row, a row that does not say why: each is counted."""
    table, history = Table(), Table()
    for node in "AB":
        table.run(node, kst(2026, 5, 10, 3))
    history.run("A", kst(2026, 5, 10, 3))
    broken = broken_promises(fates(table.table(), NIGHTLY), history.table())
    assert list(broken.values()) == [1, 1, 0]
    history.run("A", kst(2026, 5, 11, 3), "missed")
    assert list(broken_promises(fates(table.table(), NIGHTLY), history.table()).values()) == [
        1,
        0,
        1,
    ]


def test_the_table_has_its_dtypes_also_when_it_is_empty() -> None:
    """Fates are ordered from best to worst, times are Korean."""
    none = pd.DatetimeIndex([], tz="UTC")
    judged = fates(Table().table(), {"nps": none})
    assert list(judged["fate"].cat.categories) == list(FATES)
    assert str(judged["scheduled_at"].dtype) == str(judged["started_at"].dtype)
    assert str(judged["scheduled_at"].dtype) == "datetime64[us, Asia/Seoul]"
    table = Table()
    table.run("A", kst(2026, 5, 10, 3))
    assert list(fates(table.table(), {"nps": none})["fate"]) == ["unwanted"]


def test_bad_input_is_named() -> None:
    """Times have a zone, and are a DatetimeIndex."""
    with pytest.raises(InvalidArgumentError, match=r"wanted\['nps'\] is list, no DatetimeIndex"):
        fates(Table().table(), {"nps": [kst(2026, 5, 10, 3)]})  # type: ignore[dict-item]
    with pytest.raises(NaiveDatetimeError, match=r"wanted\['nps'\] has no time zone"):
        fates(Table().table(), {"nps": pd.DatetimeIndex(["2026-05-10"])})
    with pytest.raises(InvalidArgumentError, match="lacks the column"):
        fates(pd.DataFrame({"node": np.array(["A"])}), NIGHTLY)
