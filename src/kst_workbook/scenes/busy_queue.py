"""A queue that jobs pass through, one after another, and a report beside it that stays open.

Each job is put into the queue, fetched and deleted in three transactions, as a worker does it. The
server times each fetch: no round trip is in the figures. What is accelerated: a VACUUM follows each
100 jobs, where autovacuum looks once a minute.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
from procrastinate.schema import SchemaManager
from sqlalchemy import make_url

from kst_workbook.scenes.job_stores import create_database, drop_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

JOBS_A_STEP: Final = 100
"""How many jobs pass between two looks at the table."""

# Procrastinate 3.10.0 has these functions; its worker calls them in this order. The fetch does not
# sort, as in FETCH_IN_ORDER (kst_scheduler.distributed.queue).
_PROCEDURE: Final = """
CREATE PROCEDURE pass_jobs(jobs integer, INOUT fetch_ms double precision) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz; job procrastinate_jobs; times double precision[];
    worker bigint := (SELECT min(id) FROM procrastinate_workers);
BEGIN
    FOR number IN 1..jobs LOOP
        PERFORM procrastinate_defer_jobs_v1(
            ARRAY[('crawls', 'crawl', 0, NULL, NULL, '{}', NULL)::procrastinate_job_to_defer_v1]
        );
        COMMIT;
        began := clock_timestamp();
        SELECT task.* INTO job FROM (SELECT set_config('enable_sort', 'off', true)) AS planner,
            procrastinate_fetch_job_v2(ARRAY['crawls'], worker) AS task;
        COMMIT;
        times := times || 1000 * extract(epoch FROM clock_timestamp() - began)::double precision;
        PERFORM procrastinate_finish_job_v1(job.id, 'succeeded', true);
        COMMIT;
    END LOOP;
    fetch_ms := (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FROM unnest(times) AS ms);
END $$"""
# What this connection did is counted before the VACUUM, which sets the count to what it leaves.
_COUNT: Final = "SELECT pg_stat_force_next_flush()"
_DEAD: Final = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'procrastinate_jobs'"


class Step(NamedTuple):
    """What 100 jobs found; ``jobs`` have passed since the beginning."""

    jobs: int
    dead_tuples: int
    fetch_ms: float
    """The median of the step."""
    report_is_open: bool


class BusyQueue:
    """Procrastinate's tables in a database of their own; ``steps`` is what was measured."""

    def __init__(self, url: str, connection: psycopg.AsyncConnection[Any]) -> None:
        self.steps: list[Step] = []
        self._url, self._connection = url, connection
        self._report_is_open = False

    async def work(self, jobs: int, *, vacuum: bool = True) -> None:
        """Let jobs pass, in steps of 100; leave the dead tuples to autovacuum if not ``vacuum``."""
        for _ in range(jobs // JOBS_A_STEP):
            fetch_ms = await self._ask(f"CALL pass_jobs({JOBS_A_STEP}, NULL)")
            await self._ask(_COUNT)
            if vacuum:
                await self._connection.execute("VACUUM procrastinate_jobs")
            passed = JOBS_A_STEP * (len(self.steps) + 1)
            dead = await self._ask(_DEAD)
            self.steps.append(Step(passed, dead, fetch_ms, self._report_is_open))

    @asynccontextmanager
    async def open_report(self) -> AsyncIterator[None]:
        """Keep a transaction open that reads one snapshot, as pg_dump does, and no task."""
        async with await psycopg.AsyncConnection.connect(self._url) as report:
            await report.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await report.execute("SELECT 1")
            self._report_is_open = True
            try:
                yield
            finally:
                self._report_is_open = False

    async def _ask(self, query: str) -> Any:
        cursor = await self._connection.execute(query.encode())
        return (await cursor.fetchone() or [None])[0]


@asynccontextmanager
async def busy_queue(database_url: str) -> AsyncIterator[BusyQueue]:
    """Open an empty queue in a new database beside this one; drop that database afterwards."""
    name = f"{make_url(database_url).database}_queue"
    url = create_database(database_url, name)
    try:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(SchemaManager.get_schema())
            await connection.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
            await connection.execute(_PROCEDURE)
            yield BusyQueue(url, connection)
    finally:
        drop_database(database_url, name)
