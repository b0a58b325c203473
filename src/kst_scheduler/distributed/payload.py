"""What a task says: which occurrence is to run. Nothing of the job is in it but the job's id."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from kst_scheduler.errors import InvalidArgumentError
from kst_scheduler.ledger.checks import in_utc
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.scheduler.stored_names import require_name

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1
"""The version of the payload that this package writes, and the latest that it can read."""

_TYPES: Final = {"job_id": str, "scheduled_at": str, "manual": bool, "version": int}


def as_payload(occurrence: Occurrence) -> dict[str, Any]:
    """Return an occurrence as the arguments of a task.

    Raises:
        InvalidArgumentError: its job id is longer than 500 characters, or cannot be stored.

    """
    return {
        "job_id": require_name(occurrence.job_id, "job_id"),
        "scheduled_at": in_utc(occurrence.scheduled_at, "scheduled_at").isoformat(),
        "manual": occurrence.manual,
        "version": VERSION,
    }


def is_newer(payload: Mapping[str, Any]) -> bool:
    """Return whether a later version of this package wrote it, so that all else may be unknown."""
    version = payload.get("version")
    return type(version) is int and version > VERSION


def occurrence_of(payload: Mapping[str, Any]) -> Occurrence:
    """Return what a task is to run.

    Raises:
        InvalidArgumentError: no version of this package wrote it.

    """
    types = {name: type(value) for name, value in payload.items()}
    if types != _TYPES or payload["version"] < 1:
        _refuse("a task has job_id, scheduled_at, manual and version")
    job_id = require_name(payload["job_id"], "job_id")
    try:
        moment = in_utc(datetime.fromisoformat(payload["scheduled_at"]), "scheduled_at")
    except ValueError as error:
        _refuse(str(error))
    return Occurrence(job_id, moment, payload["manual"])


def _refuse(reason: str) -> NoReturn:
    raise InvalidArgumentError(
        f"the task's arguments are none that hand_off wrote, and it does not run: {reason}"
    ) from None
