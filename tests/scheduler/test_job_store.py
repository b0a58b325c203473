from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from in_loop import in_loop
from kst_scheduler import KST, KSTScheduler, at
from kst_scheduler.scheduler.job_store import MAX_DUE_A_TURN, TurnByTurnJobStore


@in_loop
async def test_other_tasks_run_between_due_jobs() -> None:
    """However many jobs are due at once, each turn of the loop starts a few of them."""
    scheduler, started = KSTScheduler(), []
    moment = datetime.now(KST) - timedelta(seconds=1)

    async def job(number: int) -> None:
        started.append(number)

    for number in range(10 * MAX_DUE_A_TURN):
        scheduler.add_job(job, at(moment), args=[number], next_run_time=moment)
    scheduler.start()
    seen = []
    while len(started) < 10 * MAX_DUE_A_TURN:
        await asyncio.sleep(0)
        seen.append(len(started))
    scheduler.shutdown()
    steps = [after - before for before, after in zip([0, *seen], seen, strict=False)]
    assert max(steps) <= MAX_DUE_A_TURN
    assert sorted(started) == list(range(10 * MAX_DUE_A_TURN))


@in_loop
async def test_the_longest_due_come_first() -> None:
    """No job waits for jobs that became due after it."""
    scheduler = KSTScheduler()
    scheduler.start(paused=True)
    moments = [datetime(2026, 5, 10, tzinfo=KST) + timedelta(hours=hour) for hour in range(60)]
    for moment in reversed(moments):
        scheduler.add_job(print, at(moment), next_run_time=moment)
    due = default_store(scheduler).get_due_jobs(moments[40])
    scheduler.shutdown()
    assert [job.next_run_time for job in due] == moments[:MAX_DUE_A_TURN]


def default_store(scheduler: KSTScheduler) -> TurnByTurnJobStore:
    """Return the job store that a scheduler made for itself."""
    store = scheduler._jobstores["default"]
    assert isinstance(store, TurnByTurnJobStore)
    return store
