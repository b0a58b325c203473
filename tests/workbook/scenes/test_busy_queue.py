from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from in_loop import in_loop
from kst_workbook.scenes.busy_queue import JOBS_A_STEP, BusyQueue, Step, busy_queue

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS = 4


async def work(queue: BusyQueue, steps: int = STEPS) -> list[Step]:
    """Return the steps of as many rounds."""
    await queue.work(steps * JOBS_A_STEP)
    return queue.steps[-steps:]


def least_dead(steps: Sequence[Step]) -> int:
    """Return the fewest dead tuples: for a moment, an autovacuum may hold some as well."""
    return min(step.dead_tuples for step in steps)


@in_loop
async def test_what_dies_beside_a_report_is_removed_after_it(postgres_url: str) -> None:
    """Two versions of a row for each job: no VACUUM removes them before the report ends."""
    async with busy_queue(postgres_url) as queue:
        before = await work(queue)
        async with queue.open_report():
            beside = await work(queue)
        after = await work(queue)
    assert least_dead(before) == least_dead(after) == 0
    for number, step in enumerate(beside, start=1):
        assert step.dead_tuples >= 2 * JOBS_A_STEP * number
    assert [step.report_is_open for step in queue.steps] == [False] * 4 + [True] * 4 + [False] * 4
    assert [step.jobs for step in queue.steps] == [JOBS_A_STEP * n for n in range(1, 13)]
    assert all(step.fetch_ms > 0 for step in queue.steps)


@in_loop
async def test_without_a_vacuum_they_stay_until_autovacuum(postgres_url: str) -> None:
    """Which looks once a minute; no report is needed for that."""
    async with busy_queue(postgres_url) as queue:
        await queue.work(JOBS_A_STEP, vacuum=False)
    assert queue.steps[0].dead_tuples > 0


@in_loop
async def test_a_report_ends_also_when_its_block_fails(postgres_url: str) -> None:
    """The next step is not said to be beside it."""
    async with busy_queue(postgres_url) as queue:
        with pytest.raises(ZeroDivisionError):
            async with queue.open_report():
                raise ZeroDivisionError
        (step,) = await work(queue, 1)
    assert not step.report_is_open


@in_loop
async def test_the_database_of_a_queue_is_dropped(postgres_url: str) -> None:
    """Also when its block fails."""
    with pytest.raises(ZeroDivisionError):
        async with busy_queue(postgres_url):
            raise ZeroDivisionError
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT datname FROM pg_database").fetchall()
        assert f"{connection.info.dbname}_queue" not in {name for (name,) in found}
