from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime

import pytest

from kst_scheduler.errors import NaiveDatetimeError
from kst_scheduler.timezone import UTC, kst
from kst_workbook.nps.data import Workplaces, is_kept, published_month


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        (kst(2026, 5, 15, 23, 59, 59, 999_999), "202603"),
        (kst(2026, 5, 16), "202604"),
        (datetime(2026, 5, 15, 15, tzinfo=UTC), "202604"),
        (kst(2026, 1, 15), "202511"),
        (kst(2026, 1, 16), "202512"),
        (kst(2026, 2, 1), "202512"),
    ],
)
def test_a_month_appears_on_the_16th_of_the_next(moment: datetime, month: str) -> None:
    """Month M covers reports up to the 15th of M+1, by Korean days."""
    assert published_month(moment) == month


def test_a_naive_moment_is_refused() -> None:
    """Whose 16th it is would depend on the host."""
    with pytest.raises(NaiveDatetimeError, match="moment="):
        published_month(datetime(2026, 5, 16))  # noqa: DTZ001 - the point


def test_details_are_kept_for_a_year() -> None:
    """The newest twelve months are answered, none that is yet to come."""
    moment = kst(2026, 5, 16)
    months = [f"{year}{month:02d}" for year in (2025, 2026) for month in range(1, 13)]
    assert [month for month in months if is_kept(month, moment)] == months[4:16]


def test_seq_leads_back_to_month_and_workplace() -> None:
    """Each month numbers its rows anew, and none twice."""
    workplaces = Workplaces(3, seed=0)
    seqs = {
        workplaces.basic(month, index)["seq"]: (month, index)
        for month in ("202512", "202601")
        for index in range(3)
    }
    assert len(seqs) == 6
    assert all(workplaces.locate(seq) == origin for seq, origin in seqs.items())
    assert workplaces.locate(max(seqs) + 1) is None


def test_a_workplace_is_plainly_synthetic_and_stays_the_same() -> None:
    """Months differ in seq, month and numbers; name, business number and address stay."""
    workplaces = Workplaces(12, seed=0)
    march, april = workplaces.basic("202603", 10), workplaces.basic("202604", 10)
    assert march["wkplNm"] == "가상제조 0011"
    assert march["wkplRoadNmDtlAddr"].startswith("가상시 ")
    assert march["bzowrRgstNo"][6:] == "****"
    fixed = march.keys() - {"seq", "dataCrtYm"}
    assert {name: march[name] for name in fixed} == {name: april[name] for name in fixed}


def test_another_seed_gives_other_workplaces() -> None:
    """The seed decides the numbers."""
    one, other = Workplaces(20, seed=1), Workplaces(20, seed=2)
    numbers = [
        [places.basic("202603", i)["bzowrRgstNo"] for i in range(20)] for places in (one, other)
    ]
    assert numbers[0] != numbers[1]


def test_rows_are_the_same_in_another_process() -> None:
    """No hash seed and no clock takes part."""
    code = (
        "import json; from kst_workbook.nps.data import Workplaces; w = Workplaces(5, 7);"
        "answers = (w.basic, w.detail, w.period);"
        "print(json.dumps([answer('202603', i) for i in range(5) for answer in answers]))"
    )
    there = [
        subprocess.run(  # noqa: S603 - this interpreter, on the code above
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    here = Workplaces(5, 7)
    items = [
        answer("202603", index)
        for index in range(5)
        for answer in (here.basic, here.detail, here.period)
    ]
    assert [json.loads(text) for text in there] == [items, items]
