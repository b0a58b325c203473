from __future__ import annotations

import pytest

from kst_scheduler.errors import InvalidArgumentError
from kst_workbook.nps.faults import Faults


def test_faults_come_in_the_order_in_which_they_were_added() -> None:
    """Each call takes one fault; after the last, calls are well."""
    faults = Faults()
    faults.add("http_503", times=2)
    faults.add("slow", seconds=90)
    assert len(faults) == 3
    taken = [faults.take() for _ in range(4)]
    assert [fault and (fault.kind, fault.number) for fault in taken[:2]] == [
        ("http_503", "503")
    ] * 2
    assert taken[2] is not None
    assert (taken[2].kind, taken[2].seconds) == ("slow", 90)
    assert taken[3] is None


def test_faults_can_be_forgotten() -> None:
    """clear() ends an outage."""
    faults = Faults()
    faults.add("malformed_json", times=5)
    faults.clear()
    assert faults.take() is None


@pytest.mark.parametrize("kind", ["http503", "http_200", "code_2", "code_022", "", "late"])
def test_an_unknown_fault_is_refused(kind: str) -> None:
    """The message lists the kinds there are."""
    with pytest.raises(InvalidArgumentError, match=r"unknown fault .*slow.*code_22"):
        Faults().add(kind)


@pytest.mark.parametrize(("times", "seconds"), [(0, 1.0), (1, -1.0)])
def test_a_fault_that_cannot_happen_is_refused(times: int, seconds: float) -> None:
    """The message names times and seconds with their values."""
    with pytest.raises(InvalidArgumentError, match=f"times={times}, seconds={seconds}"):
        Faults().add("slow", times=times, seconds=seconds)
