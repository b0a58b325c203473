"""What the end of a run stands for in its row, whatever the job returned or raised."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger.checks import MAX_INTEGER, stored_text
from kst_scheduler.ledger.contract import Outcome
from kst_scheduler.timezone import UTC
from kst_scheduler.user_values import describe, integer_of, is_a, text_of

if TYPE_CHECKING:
    from kst_scheduler.ledger.contract import Claim


def succeeded(result: object, seconds: float) -> Outcome:
    """Return the outcome of a run that ended well, after so many seconds."""
    return Outcome("ok", datetime.now(UTC), timedelta(seconds=seconds), rows=count(result))


def failed(error: BaseException, seconds: float) -> Outcome:
    """Return the outcome of a run that raised: skipped when locked out, cancelled, or error."""
    status, text = "error", describe_error(error)
    if is_a(error, LockedOutError):
        status, text = "skipped", stored_text(text_of(error))
    elif is_a(error, asyncio.CancelledError):
        status, text = "cancelled", stored_text(text_of(error))
    return Outcome(status, datetime.now(UTC), timedelta(seconds=seconds), error=text or None)


def count(result: object) -> int | None:
    """Return a job's result as a count of rows, or None where it is none.

    A count is an integer, Python's or NumPy's, or the integer field ``rows`` of a result such as a
    CrawlResult. Booleans, floats and what merely has an ``int()`` are none; no method is called.
    """
    rows = integer_of(result)
    return rows if rows is not None and 0 <= rows <= MAX_INTEGER else None


def describe_error(error: BaseException) -> str:
    """Return an error as a row or a line of the log tells it: cut, without passwords."""
    return stored_text(describe(error))


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
