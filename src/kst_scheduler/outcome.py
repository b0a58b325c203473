"""What the end of a run stands for in its row."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger.checks import LARGEST
from kst_scheduler.ledger.contract import Outcome
from kst_scheduler.redaction import without_passwords
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from kst_scheduler.ledger.contract import Claim


def succeeded(result: object, seconds: float) -> Outcome:
    """Return the outcome of a run that ended well, after so many seconds."""
    return Outcome("ok", datetime.now(UTC), timedelta(seconds=seconds), rows=count(result))


def failed(error: BaseException, seconds: float) -> Outcome:
    """Return the outcome of a run that raised: skipped when locked out, cancelled, or error."""
    status, text = "error", told(error)
    if isinstance(error, LockedOutError):
        status, text = "skipped", without_passwords(error)
    elif isinstance(error, asyncio.CancelledError):
        status, text = "cancelled", without_passwords(error)
    return Outcome(status, datetime.now(UTC), timedelta(seconds=seconds), error=text or None)


def count(result: object) -> int | None:
    """Return a job's result as a count of rows, or None where it is none.

    A count is what has an ``int()`` of its own, other than True and False: a number, or a result
    such as a CrawlResult.
    """
    if isinstance(result, bool) or not hasattr(result, "__int__"):
        return None
    try:
        rows = int(result)
    except (TypeError, ValueError, OverflowError):  # an array, not-a-number, infinity
        return None
    return rows if 0 <= rows <= LARGEST else None


def told(error: BaseException) -> str:
    """Return an error as a row or a line of the log tells it, without passwords."""
    return without_passwords(repr(error))


def as_json(claim: Claim, outcome: Outcome) -> str:
    """Return the row that a run would have, on one line, for where it cannot be written."""
    request = claim.request
    row = {
        "id": claim.row_id,
        "source": request.occurrence.job_id,
        "scheduled_at": request.occurrence.scheduled_at.astimezone(UTC).isoformat(),
        "attempt": claim.attempt,
        "instance": request.instance,
        "status": outcome.status,
        "rows": outcome.rows,
        "duration_ms": outcome.duration_ms,
        "error": outcome.error,
        "trigger": "manual" if request.occurrence.manual else "schedule",
        "claimed_at": request.claimed_at.isoformat(),
        "finished_at": outcome.finished_at.isoformat(),
    }
    return json.dumps(row)
