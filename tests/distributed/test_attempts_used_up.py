from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from handed_off import memory_queue
from in_loop import in_loop
from kst_scheduler.ledger import ClaimRequest
from kst_scheduler.scheduler.occurrence import Occurrence
from kst_scheduler.timezone import KST
from ledgers import expire


@in_loop
@pytest.mark.parametrize("has_run_it", [True, False])
async def test_a_task_whose_job_killed_three_workers_ends(has_run_it: bool) -> None:
    """Its row is closed; a task that was to try again what failed does not wait for ever."""
    due = Occurrence("nps", datetime.now(KST).replace(microsecond=0) - timedelta(seconds=5))
    runs = []

    async def job() -> None:
        runs.append(due)

    with memory_queue() as queue:
        queue.add(job, retry=10)
        for worker in "ABC":
            request = ClaimRequest(due, worker, timedelta(seconds=60), datetime.now(UTC))
            await expire(queue.ledger, await queue.ledger.claim(request))
        await queue.put(due)
        queue.task()["lock"] = due.key if has_run_it else None
        await queue.work()
        row = await queue.row()
        assert (row.status, row.attempt, row.lost) == ("error", 3, 3)
        assert queue.ledger.closed_by_claims() == [row]
        assert queue.tasks() == []
        await queue.put(due)
        queue.task()["lock"] = due.key if has_run_it else None
        await queue.work()
        assert queue.tasks() == []
    assert runs == []
