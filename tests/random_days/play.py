"""Play a random day in virtual time, with the real scheduler, ``once``, lock and reconciler."""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from apscheduler.jobstores.base import JobLookupError

from kst_scheduler.errors import LedgerUnavailableError
from kst_scheduler.ledger import MemoryLedger
from kst_scheduler.once.decorator import once
from kst_scheduler.once.locks import redis_lock
from kst_scheduler.once.reconcile import Reconciler
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation import SimulationResult, current_node
from kst_scheduler.simulation.fresh_modules import Program
from kst_scheduler.simulation.incidents import check_incidents
from kst_scheduler.simulation.simulate import run_program
from random_days.faults import (
    FaultyLedger,
    FaultyRedis,
    memory_rows,
    outages_of,
)
from random_days.marks import Mark, wrapped
from random_days.plan import DRAIN, END, LEASE, LOOK_EVERY, MIDNIGHT, true_time
from random_days.strikes import Strikes
from random_days.watch import Looked, Took, Watch, Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from kst_scheduler.ledger import LedgerRow
    from random_days.plan import Day, JobPlan

STEPS = 10
"""How many steps of work a run has."""

GRACE = 300
"""Seconds for which a run that is late starts all the same."""


class HostileError(Exception):
    """An error that ends the process when it is shown."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class HostileResult:
    """A result that raises when it is read."""

    def __int__(self) -> int:
        raise RuntimeError("not a number")

    __index__ = __int__
    __bool__ = __int__


@dataclass
class Story:
    """The outcome of a day."""

    day: Day
    result: SimulationResult
    ledger: MemoryLedger
    watch: Watch
    witness: Witness
    alerted: list[LedgerRow] = field(default_factory=list)
    locks: set[str] = field(default_factory=set)
    """Those that are held at the end of the day."""
    judged: list[tuple[str, datetime]] = field(default_factory=list)
    """What no fault touched, and so had to run at its time."""
    took: list[Took] = field(default_factory=list)
    """Each claim that had a row which was there before."""

    def rows(self) -> list[LedgerRow]:
        """Return the ledger's rows, in the order of their scheduled time."""
        rows = asyncio.run(self.ledger.rows())
        return sorted(rows, key=lambda row: (row.scheduled_at, row.source))


def play(day: Day, kind: type[MemoryLedger] = MemoryLedger) -> Story:
    """Return what becomes of a day; ``kind`` may be a ledger without one of its safeguards."""
    strikes = Strikes(day)
    ledger = kind()
    ledger._rows = rows = memory_rows(day, strikes)
    watch = Watch(ledger, day)
    rows.marks = watch.marks
    emptied = [each.end for each in outages_of(day, "Redis") if each.kind == "emptied"]
    outages = sorted(outages_of(day, "ledger"), key=lambda each: each.start)
    down = [each for each in outages if each.kind == "down"]
    # What is ready to go on when a process is frozen in the middle of a step goes on, as well.
    blocks = any(job.blocks for job in day.jobs) or any(
        each.kind == "freeze" for each in day.strikes
    )
    cluster = _Cluster(day, watch, Witness(watch, emptied, down, blocks), strikes)
    # Without a look for what the nodes share, which is the harness: that takes longer than the day.
    # Through a weak reference, nor is all of it looked through for real locks.
    of_day = weakref.ref(cluster)
    program, nodes = Program(KSTScheduler, lambda each: of_day().register(each)), day.nodes()  # type: ignore[union-attr]
    incidents = check_incidents(day.incidents, nodes, MIDNIGHT, END)
    with wrapped(watch.marks):
        result = run_program(program, MIDNIGHT, END, nodes, incidents)
    story = Story(strikes.day(), result, ledger, watch, cluster.witness, cluster.alerted)
    story.took, story.locks = rows.took, cluster.locks()
    return story


class _Cluster:
    """What all nodes run."""

    def __init__(self, day: Day, watch: Watch, witness: Witness, strikes: Strikes) -> None:
        self.day = day
        self.strikes = strikes
        self.watch = watch
        self.witness = witness
        self.alerted: list[LedgerRow] = []
        self._ledger: Any = FaultyLedger(watch, day, strikes)
        self._redis = FaultyRedis(day, strikes)
        self._tasks: list[asyncio.Task[None]] = []

    def register(self, scheduler: KSTScheduler) -> None:
        """Add the jobs to a new process."""
        node = current_node()
        self.watch.boots[node] += 1
        self.strikes.boot()
        if self._ledger.is_away():
            self.watch.marks.add(Mark.AWAY_AT_BOOT)
        self.watch.first_readings.pop(node, None)
        instance = self.watch.process()
        for name, job in self.day.named_jobs().items():
            run = self._guarded(name, job, instance)
            scheduler.add_job(run, job.trigger(), id=name, misfire_grace_time=GRACE)
        self._plan_pauses(scheduler, node)
        self._plan_drain(scheduler, node)
        reconciler = Reconciler(scheduler, self._ledger, on_missing=self._alert)
        self._tasks.append(asyncio.create_task(self._keep_looking(reconciler)))

    def _plan_pauses(self, scheduler: KSTScheduler, node: str) -> None:
        loop = asyncio.get_running_loop()
        for pause in self.day.pauses:
            if pause.node == node and (after := (pause.start - true_time()).total_seconds()) >= 0:
                length = (pause.end - pause.start).total_seconds()
                loop.call_later(after, self._pause, scheduler, pause.job)
                loop.call_later(after + length, self._resume, scheduler, pause.job)

    def locks(self) -> set[str]:
        """Return the names of the locks that are held."""
        return self._redis.held()

    def _plan_drain(self, scheduler: KSTScheduler, node: str) -> None:
        loop = asyncio.get_running_loop()
        for each in self.day.drains(node):
            if (after := (each - true_time()).total_seconds()) >= 0:
                loop.call_later(after, self._drain, scheduler)

    def _drain(self, scheduler: KSTScheduler) -> None:
        self.watch.drained[self.watch.process()] = true_time()
        self._tasks.append(asyncio.create_task(self._drained(scheduler)))

    async def _drained(self, scheduler: KSTScheduler) -> None:
        await scheduler.drain(DRAIN / 2)

    def _pause(self, scheduler: KSTScheduler, job_id: str) -> None:
        with contextlib.suppress(JobLookupError):  # a job of one date may be over
            scheduler.pause_job(job_id)
            self.watch.note_pause(job_id)

    def _resume(self, scheduler: KSTScheduler, job_id: str) -> None:
        with contextlib.suppress(JobLookupError):
            self.watch.note_resume(job_id)
            scheduler.resume_job(job_id)

    def _guarded(
        self, name: str, job: JobPlan, instance: str
    ) -> Callable[[], Coroutine[Any, Any, object]]:
        work = partial(self._work, job, instance)
        client = self._redis.client()
        lock = partial(redis_lock, f"lock:{name}", LEASE, client=client)
        if job.guard == "lock":
            return partial(_behind, lock, work)
        guarded = once(
            self._ledger,
            lock if job.guard == "once and lock" else None,
            lease=LEASE,
            catch_up=timedelta(minutes=job.window),
            repeatable=job.repeatable,
            max_attempts=job.max_attempts,
            instance=instance,
        )(work)
        return self.witness.noting_ends(guarded)

    async def _work(self, job: JobPlan, instance: str) -> object:
        loop, witness = asyncio.get_running_loop(), self.witness
        await self._strike("work begins")
        work = witness.begin(instance, is_once=job.guard != "lock")
        end = loop.time() + job.seconds
        if job.kills and witness.fails(work):
            work.hangs = True
            time.sleep((END - MIDNIGHT).total_seconds())  # noqa: ASYNC251 - to be survived
        if job.blocks:
            time.sleep(job.seconds)  # noqa: ASYNC251 - the fault to be survived
        with witness.noting_cut(work):
            while (left := end - loop.time()) > 0:
                witness.step(work)
                await asyncio.sleep(min(left, job.seconds / STEPS))
        await self._strike("work ends")
        witness.end(work, blocked=job.blocks)
        if job.fails and witness.fails(work):
            work.failed = True
            raise HostileError if job.hostile else RuntimeError("the source is broken")
        return HostileResult() if job.hostile else 7

    async def _strike(self, step: str) -> None:
        strike = self.strikes.next_call(step)
        if strike is not None:
            self.strikes.hit(strike, is_done=False)
            await asyncio.sleep(0.001)  # a timer: what was due in a freeze comes before

    async def _keep_looking(self, reconciler: Reconciler) -> None:
        """Look at once, and then now and then; whatever it raises is a fault."""
        await asyncio.sleep(1)
        while True:
            look = Looked(current_node(), true_time(), process=self.watch.process())
            self.watch.looks.append(look)
            try:
                found = await reconciler.reconcile()
                look.started = [(true_time(), each) for each in found.started]
            except LedgerUnavailableError:
                look.is_put_off = True
            except Exception as error:  # noqa: BLE001 - whatever it is
                if asyncio._get_running_loop() is None:
                    return  # the day is over, and the process is torn down
                self.watch.faults.append(f"a look failed: {error!r}")
            look.end = true_time()
            await asyncio.sleep(LOOK_EVERY)

    async def _alert(self, rows: list[LedgerRow]) -> None:
        self.alerted.extend(rows)


async def _behind(lock: Any, work: Callable[[], Coroutine[Any, Any, object]]) -> object:
    async with lock():
        return await work()
