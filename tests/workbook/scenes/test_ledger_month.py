"""The month of rows of notebook 09 shows six troubles in the columns of its table."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kst_workbook.scenes.ledger_month import MAY, month_of_rows

if TYPE_CHECKING:
    import pandas as pd


@pytest.fixture(scope="module")
def crawls() -> pd.DataFrame:
    """Return the rows of the crawl, by day."""
    rows = asyncio.run(month_of_rows().history("nps", since=MAY[0], until=MAY[1]))
    return rows.set_index(rows["scheduled_at"].dt.day)


def test_each_night_has_its_row(crawls: pd.DataFrame) -> None:
    """All 31."""
    assert list(crawls.index) == list(range(1, 32))


def test_three_nights_are_not_ok(crawls: pd.DataFrame) -> None:
    """Frozen, without quota, and cut off."""
    bad = crawls[crawls["status"] != "ok"]["status"]
    assert bad.to_dict() == {7: "missed", 20: "error", 23: "cancelled"}


def test_three_troubles_show_in_other_columns(crawls: pd.DataFrame) -> None:
    """A takeover, few rows, and crawls that take longer every night."""
    assert list(crawls[crawls["attempt"] > 1].index) == [14]
    assert list(crawls[crawls["rows"] < 250].index) == [27]
    assert crawls.loc[28:31, "duration_ms"].is_monotonic_increasing
