from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from lessons import MORNING, NIGHT, plain_scheduler

from kst_scheduler.errors import LockedOutError, NoOccurrenceError, SimulationError
from kst_scheduler.runs.table import check_runs, duplicates
from kst_scheduler.scheduler.occurrence import current_occurrence
from kst_scheduler.simulation import Crash, Freeze, Node, current_node, simulate
from kst_scheduler.simulation.redis_server import SimulatedRedis
from kst_scheduler.simulation.work import WorkLog
from kst_scheduler.timezone import kst

if TYPE_CHECKING:
    from collections.abc import Callable

THREE, FIVE = kst(2026, 5, 10, 3), kst(2026, 5, 10, 5)


def minutes(work: WorkLog, count: int, **lock: Any) -> Callable[[Any], None]:
    """Return a register function: a job that notes a piece a minute, under a lock if it has one."""
    server = SimulatedRedis()

    async def crawl() -> None:
        held = server.client().lock("lock:nps", sleep=1, **lock) if lock else asyncio.Lock()
        async with held:
            for piece in range(count):
                work.note(piece)
                await asyncio.sleep(60)

    def register(scheduler: Any) -> None:
        scheduler.add_job(crawl, "cron", hour=3, id="nps")

    return register


def test_work_begins_when_the_lock_is_granted() -> None:
    """B waits 20 minutes for A: its function begins at 03:00, its work at 03:20."""
    work = WorkLog()
    result = simulate(minutes(work, 20, timeout=3600), NIGHT, MORNING, nodes=2)
    assert list(result.runs["started_at"]) == [THREE, THREE]
    begun = work.with_work_starts(result)
    assert list(begun.runs["started_at"]) == [THREE, kst(2026, 5, 10, 3, 20)]
    assert list(begun.runs["finished_at"]) == list(result.runs["finished_at"])
    assert begun.incidents is result.incidents
    assert (work.most_runs(), work.most_at_once()) == (2, 1)


def test_run_that_never_worked_did_not_start() -> None:
    """A busy lock that does not wait ends B's run with an error, and no work: no duplicate."""
    work = WorkLog()
    result = simulate(minutes(work, 20, blocking=False), NIGHT, MORNING, nodes=2)
    begun = work.with_work_starts(result).runs
    assert list(begun["started_at"].isna()) == [False, True]
    assert (len(duplicates(result.runs)), len(duplicates(begun))) == (1, 0)
    assert (work.most_runs(), work.most_at_once()) == (1, 1)


def test_run_that_was_locked_out_keeps_when_it_asked() -> None:
    """B asks an hour late, which is worth seeing; it is no duplicate, as its status says."""
    work = WorkLog()

    async def crawl() -> None:
        if current_node() == "B":
            raise LockedOutError("A has it")
        work.note()

    def register(scheduler: Any) -> None:
        scheduler.add_job(crawl, "cron", hour=3, id="nps")

    late = [Node("A"), Node("B", clock_offset=-3600)]
    begun = work.with_work_starts(simulate(register, NIGHT, MORNING, nodes=late)).runs
    assert list(begun["started_at"]) == [THREE, kst(2026, 5, 10, 4)]
    assert len(duplicates(begun)) == 0


def test_runs_that_work_at_once_are_counted() -> None:
    """Without a lock three replicas work on one occurrence, all at once."""
    work = WorkLog()
    simulate(minutes(work, 20), NIGHT, MORNING, nodes=3)
    assert (work.most_runs(), work.most_at_once()) == (3, 3)


def test_work_is_at_once_only_within_a_job() -> None:
    """Another job's run is no second run, and not in the way."""
    work = WorkLog()

    def register(scheduler: Any) -> None:
        minutes(work, 20)(scheduler)
        scheduler.add_job(scheduler.get_jobs()[0].func, "cron", hour=3, id="other")

    simulate(register, NIGHT, MORNING)
    assert (work.most_runs(), work.most_at_once()) == (1, 1)


def test_table_has_the_pieces_in_true_time() -> None:
    """Each piece has its node, its occurrence and the moment, also of a run that was cut."""
    work = WorkLog()
    crash = Crash("A", kst(2026, 5, 10, 3, 1, 30))
    simulate(minutes(work, 3), NIGHT, MORNING, incidents=[crash])
    table = work.table()
    assert list(table.columns) == ["node", "job_id", "scheduled_at", "at", "piece"]
    assert table.to_numpy().tolist() == [
        ["A", "nps", THREE, THREE, 0],
        ["A", "nps", THREE, kst(2026, 5, 10, 3, 1), 1],
    ]


def test_left_is_what_was_written_last() -> None:
    """A, frozen from 03:00:10 to 05:00:30, writes its second page over B's of 05:00:20."""
    work = WorkLog()

    async def crawl() -> None:
        if (current_node(), current_occurrence().scheduled_at) in {("A", THREE), ("B", FIVE)}:
            for page in range(2):
                work.note(page)
                await asyncio.sleep(20)

    def register(scheduler: Any) -> None:
        scheduler.add_job(crawl, "cron", hour="3,5", id="nps")

    freeze = Freeze("A", THREE + timedelta(seconds=10), timedelta(hours=2, seconds=20))
    simulate(register, NIGHT, MORNING, nodes=2, incidents=[freeze])
    assert work.pieces_left().to_numpy().tolist() == [["nps", THREE, 1], ["nps", FIVE, 1]]


def test_nothing_noted() -> None:
    """Without a piece the table is empty, the counts are zero, and no run started."""
    work = WorkLog()
    result = simulate(minutes(work, 1), NIGHT, MORNING)
    work.clear()
    assert (work.most_runs(), work.most_at_once(), len(work.table())) == (0, 0, 0)
    assert list(work.pieces_left().columns) == ["job_id", "scheduled_at", "pieces"]
    begun = check_runs(work.with_work_starts(result).runs)
    assert begun["started_at"].isna().all()
    assert pd.api.types.is_datetime64_any_dtype(work.table()["at"])


def test_only_inside_a_simulated_job() -> None:
    """Elsewhere there is no true time, and on a plain scheduler no occurrence."""
    work = WorkLog()
    with pytest.raises(SimulationError, match="only be noted inside a simulated job"):
        work.note()
    runs = simulate(minutes(work, 1), NIGHT, MORNING, scheduler=plain_scheduler).runs
    assert NoOccurrenceError.__name__ in runs["detail"].item()
