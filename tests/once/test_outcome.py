from __future__ import annotations

import asyncio
import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from kst_scheduler.errors import LockedOutError
from kst_scheduler.ledger import Claim, ClaimRequest
from kst_scheduler.once.outcome import as_json, count, failed, succeeded
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import kst
from kst_workbook.nps import CrawlResult


@pytest.mark.parametrize(
    ("result", "rows"),
    [
        (7, 7),
        (0, 0),
        (CrawlResult("202604", rows=7, pages=1, calls=1), 7),
        (np.int64(7), 7),
        (7.9, None),
        (None, None),
        ("7", None),
        ([7], None),
        (True, None),
        (-1, None),
        (2**63, None),
        (math.nan, None),
        (math.inf, None),
        (np.array([1, 2]), None),
        (np.True_, None),
        (np.timedelta64(7, "s"), None),
        (np.timedelta64(7, "ns"), None),
        (ip_address("10.0.0.1"), None),
        (UUID(int=7), None),
        (Decimal(7), None),
        (HTTPStatus.OK, None),
        (10**5_000, None),
    ],
    ids=type,
)
def test_a_count_is_an_integer(result: Any, rows: int | None) -> None:
    """What is no count, or does not fit a database, leaves the column empty."""
    assert count(result) == rows


def test_a_run_that_ended_well() -> None:
    """It is ok, with its rows, and without an error."""
    before = datetime.now(UTC)
    outcome = succeeded(7, 1.5)
    assert (outcome.status, outcome.rows, outcome.duration_ms) == ("ok", 7, 1500)
    assert outcome.error is None
    assert before <= outcome.finished_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ValueError("no rows"), "error", "ValueError('no rows')"),
        (SystemExit(1), "error", "SystemExit(1)"),
        (LockedOutError("lock 'nps' is held"), "skipped", "lock 'nps' is held"),
        (asyncio.CancelledError(), "cancelled", None),
        (asyncio.CancelledError("drained"), "cancelled", "drained"),
        (
            ConnectionError("postgresql://app:secret@db/crawl is away"),
            "error",
            "ConnectionError('postgresql://app:***@db/crawl is away')",
        ),
    ],
    ids=repr,
)
def test_a_run_that_raised(error: BaseException, status: str, text: str | None) -> None:
    """Its status says which kind of error it was, and its text holds no password."""
    outcome = failed(error, 1.5)
    assert (outcome.status, outcome.error, outcome.duration_ms) == (status, text, 1500)


def test_a_row_for_the_log_is_one_line_of_json() -> None:
    """It has the columns of crawl_runs that the run would have written."""
    occurrence = Occurrence("nps", kst(2026, 5, 10, 3))
    request = ClaimRequest(
        occurrence, "A", timedelta(seconds=60), datetime(2026, 5, 9, 18, tzinfo=UTC)
    )
    outcome = failed(ValueError("line one\nline two"), 1.5)
    text = as_json(Claim(4, 2, request), outcome)
    assert "\n" not in text
    assert json.loads(text) == {
        "id": 4,
        "source": "nps",
        "scheduled_at": "2026-05-09T18:00:00+00:00",
        "attempt": 2,
        "instance": "A",
        "status": "error",
        "rows": None,
        "duration_ms": 1500,
        "error": "ValueError('line one\\nline two')",
        "trigger": "schedule",
        "claimed_at": "2026-05-09T18:00:00+00:00",
        "finished_at": outcome.finished_at.isoformat(),
    }
