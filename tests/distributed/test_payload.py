from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from kst_scheduler.distributed.payload import VERSION, as_payload, is_newer, occurrence_of
from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import kst

THREE = kst(2026, 5, 10, 3)
PAYLOAD = {
    "job_id": "nps",
    "scheduled_at": "2026-05-09T18:00:00+00:00",
    "manual": False,
    "version": 1,
}


def test_a_payload_is_the_occurrence_and_nothing_else() -> None:
    """In UTC, with the version; no argument of the job is in it."""
    assert as_payload(Occurrence("nps", THREE)) == PAYLOAD


@pytest.mark.parametrize("manual", [False, True])
@pytest.mark.parametrize("microseconds", [0, 250_000])
def test_what_was_put_in_comes_out(manual: bool, microseconds: int) -> None:
    """By way of JSON, to the microsecond."""
    occurrence = Occurrence("밤 🌙", THREE + timedelta(microseconds=microseconds), manual)
    said = json.loads(json.dumps(as_payload(occurrence)))
    assert occurrence_of(said) == occurrence
    assert not is_newer(said)


@pytest.mark.parametrize("job_id", ["n" * 501, "n\0ps", "n\ud800ps"])
def test_a_job_id_that_no_database_takes_is_refused(job_id: str) -> None:
    """Before it is put into the queue."""
    with pytest.raises(InvalidArgumentError, match=r"^job_id="):
        as_payload(Occurrence(job_id, THREE))


@pytest.mark.parametrize("version", [VERSION + 1, 99])
def test_a_later_version_is_known_by_its_number(version: int) -> None:
    """Whatever else is in it."""
    assert is_newer({"version": version, "occurrences": [1, 2]})


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": 7},
        {"job_id": "n" * 501},
        {"scheduled_at": "three o'clock"},
        {"scheduled_at": "2026-05-10T03:00:00"},
        {"scheduled_at": "0001-01-01T00:00:00+09:00"},
        {"scheduled_at": None},
        {"manual": 1},
        {"version": 0},
        {"version": True},
        {"version": "2"},
        {"pages": 250},
    ],
    ids=str,
)
def test_what_hand_off_never_wrote_is_refused(changes: dict[str, Any]) -> None:
    """With the reason, and that it does not run."""
    assert not is_newer(PAYLOAD | changes)
    with pytest.raises(InvalidArgumentError):
        occurrence_of(PAYLOAD | changes)


@pytest.mark.parametrize("name", PAYLOAD)
def test_nothing_may_be_left_out(name: str) -> None:
    """A payload is complete or none."""
    less = {key: value for key, value in PAYLOAD.items() if key != name}
    with pytest.raises(InvalidArgumentError, match="none that hand_off wrote, and it does not run"):
        occurrence_of(less)
