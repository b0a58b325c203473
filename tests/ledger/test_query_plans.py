"""How SQLite reads: it knows no figures of a table, and takes what fits the words of a query."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.dialects import sqlite

from in_loop import in_loop
from kst_scheduler.ledger import SqlLedger, statements
from ledgers import HOUR, THREE, occurrence, opened, outcome, request

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = "crawl_runs_running (namespace=? AND source{})"
SINCE = "crawl_runs_times (namespace=? AND scheduled_at>?)"
KEY = "(namespace=? AND source=? AND scheduled_at=? AND trigger=?)"


def rows(source: str | None = None, *, recent: bool = False, status: str | None = None) -> Any:
    """Return the query of a ledger's rows."""
    since = THREE if recent else None
    return statements.select_rows("", source, since, None, status, None, 50)


QUERIES: dict[str, tuple[Any, list[str]]] = {
    "what is old": (
        statements.DELETE_OLD,
        ["crawl_runs_times (namespace=? AND scheduled_at>? AND scheduled_at<?)"],
    ),
    "abandoned runs": (statements.ABANDONED, [RUNNING.format(">?")]),
    "what is in the way of a claim": (
        statements.OBSTACLES,
        [f"crawl_runs_occurrence {KEY}", RUNNING.format("=?")],
    ),
    "running rows of a job": (rows("nps", status="running"), [RUNNING.format("=?")]),
    "running rows": (rows(status="running"), [RUNNING.format(">?")]),
    "rows of the last days": (rows(recent=True), [SINCE]),
    "rows of a job of the last days": (
        rows("nps", recent=True),
        ["crawl_runs_occurrence (namespace=? AND source=? AND scheduled_at>?)"],
    ),
    "history": (statements.select_history("", None, THREE, None), [SINCE]),
}


def plan(url: str, query: Any) -> list[str]:
    """Return how SQLite carries a query out."""
    sql = str(query.compile(dialect=sqlite.dialect()))
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        found = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [0] * sql.count("?"))
        lines = [line for *_, line in found]
    connection.close()
    return lines


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the address of a file."""
    return f"sqlite:///{tmp_path}/ledger.db"


@in_loop
async def test_each_query_reads_what_it_asks_for_by_an_index(url: str) -> None:
    """A look of each minute, and a claim that is locked out, cost the same however old a ledger."""
    async with opened(SqlLedger(url)):
        for name, (query, indexes) in QUERIES.items():
            used = [line for line in plan(url, query) if "USING INDEX" in line]
            expected = [f"SEARCH crawl_runs USING INDEX {index}" for index in indexes]
            assert used == expected, name


@in_loop
async def test_a_page_is_read_in_the_order_of_its_rows(url: str) -> None:
    """Up to its limit, and nothing is sorted."""
    async with opened(SqlLedger(url)):
        assert plan(url, rows()) == ["SCAN crawl_runs"]
        assert plan(url, rows(status="error")) == ["SCAN crawl_runs"]


@in_loop
async def test_running_rows_and_pages_are_of_one_namespace(sql_url: str) -> None:
    """Whichever way they are found."""
    async with (
        opened(SqlLedger(sql_url)) as first,
        opened(SqlLedger(sql_url, namespace="billing")) as second,
    ):
        for number, ledger in enumerate((first, second, second)):
            claim = await ledger.claim(request(occurrence(number, job_id=str(number))))
            await ledger.finish(claim, outcome())
            short = request(occurrence(job_id=f"more {number}"), lease=timedelta(microseconds=1))
            await ledger.claim(short)
        assert [row.source for row in await first.rows()] == ["more 0", "0"]
        assert [row.source for row in await second.rows(limit=3)] == ["more 2", "2", "more 1"]
        assert [row.source for row in await second.rows(status="ok")] == ["2", "1"]
        running = await second.rows(status="running")
        assert [row.source for row in running] == ["more 2", "more 1"]
        assert [row.source for row in await second.abandoned()] == ["more 1", "more 2"]
        assert [row.source for row in await first.rows(since=THREE, until=THREE + HOUR)]
