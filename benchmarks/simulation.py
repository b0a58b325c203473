"""How much a simulation costs beside APScheduler's own loop, and beside looptime.

Purpose: prints, for four loads, the time a fire takes
  - in the floor: APScheduler's ``_process_jobs`` in a bare loop, with an executor that does
    nothing, no asyncio, no records, and a clock that is set by hand;
  - in ``simulate``: the same jobs really run, on the real AsyncIOScheduler, with full records;
  - in looptime with time-machine: the same scheduler on a looptime loop, with one listener.
  And what a call of ``simulate`` costs beside its fires: a minute of one node and of two.
Limits: CPU time, ratios within one run; absolute times depend on the machine. The best of the
  rounds counts, and of the short calls the median.
Run: ``uv run --isolated --group benchmarks python benchmarks/simulation.py``
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import apscheduler.schedulers.base as library
import looptime
import time_machine
from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.cron import CronTrigger

from kst_scheduler.simulation import simulate
from kst_scheduler.timezone import KST, kst

if TYPE_CHECKING:
    from collections.abc import Callable

START = kst(2026, 1, 1)
ROUNDS = 3
CALLS = 100
TARGET = 1.5


@dataclass(frozen=True)
class Load:
    """Some jobs, and for how long they are run."""

    name: str
    days: int
    jobs: list[dict[str, Any]]

    @property
    def end(self) -> datetime:
        """The end of the span."""
        return START + timedelta(days=self.days)


LOADS = [
    Load("1 job a minute, 1 day", 1, [{"minute": "*"}]),
    Load("100 jobs a minute, 1 day", 1, [{"minute": "*"}] * 100),
    Load("10 daily jobs, 365 days", 365, [{"hour": hour, "minute": 5} for hour in range(10)]),
    Load(
        "100 jobs spread, hourly, 7 days",
        7,
        [{"minute": index % 60, "second": index % 7} for index in range(100)],
    ),
]


async def job() -> None:
    """Do nothing, at once."""


def add_jobs(scheduler: BaseScheduler, load: Load) -> None:
    """Give a scheduler the jobs of a load, with fresh triggers."""
    for index, fields in enumerate(load.jobs):
        scheduler.add_job(job, CronTrigger(timezone=KST, **fields), id=f"job-{index}")


class NullExecutor(BaseExecutor):  # type: ignore[misc] # the library is untyped
    """Counts what it is given and does nothing."""

    count = 0

    def submit_job(self, _job: Any, run_times: list[datetime]) -> None:
        """Count the run times."""
        self.count += len(run_times)

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        raise NotImplementedError


class FloorScheduler(BaseScheduler):  # type: ignore[misc] # the library is untyped
    """The base scheduler, woken by hand."""

    def wakeup(self) -> None:
        """Do nothing: the loop below asks for the next round itself."""

    def shutdown(self, wait: bool = True) -> None:
        """Stop."""
        super().shutdown(wait)


def run_floor(load: Load) -> int:
    """Run the library's loop alone; return the number of fires."""
    now = START

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:  # noqa: ARG003 - the scheduler's zone is KST too
            return now

    library.datetime = Clock
    try:
        executor = NullExecutor()
        scheduler = FloorScheduler(timezone=KST, executors={"default": executor})
        add_jobs(scheduler, load)
        scheduler.start()
        while now < load.end:
            now += timedelta(seconds=scheduler._process_jobs())
        scheduler.shutdown()
    finally:
        library.datetime = datetime
    return executor.count


def run_simulation(load: Load) -> int:
    """Run the load in a simulation with full records; return the number of fires."""
    result = simulate(
        lambda scheduler: add_jobs(scheduler, load),
        START,
        load.end,
        scheduler=lambda: AsyncIOScheduler(timezone=KST),
    )
    return int((result.runs["status"] == "ok").sum())


def run_looptime(load: Load) -> int:
    """Run the load on a looptime loop with time-machine's wall clock; return the fires."""
    fires = 0

    def count(_event: Any) -> None:
        nonlocal fires
        fires += 1

    bases = (looptime.LoopTimeEventLoop, asyncio.SelectorEventLoop)
    make_loop: Any = type("LoopTime", bases, {})
    loop = make_loop(start=0, noop_cycles=0)
    loop._clock_resolution = 1e-6  # the default of 1e-9 never ends beyond 2**24 s

    class Live(time_machine.Traveller):
        def time_ns(self) -> int:
            passed: float = loop.time()
            return int(START.timestamp()) * 10**9 + round(passed * 1e6) * 1000

    async def main() -> None:
        scheduler = AsyncIOScheduler(timezone=KST)
        add_jobs(scheduler, load)
        scheduler.add_listener(count, EVENT_JOB_EXECUTED)
        scheduler.start()
        await asyncio.sleep((load.end - START).total_seconds() - 0.5)
        scheduler.shutdown()

    with time_machine.travel(0, tick=False):
        time_machine.traveller_stack[-1] = Live(0, None, tick=False)
        loop.run_until_complete(main())
        loop.close()
    return fires


def best(run: Callable[[Load], int], load: Load) -> tuple[float, int]:
    """Return the shortest time of the rounds, in seconds, and the number of fires."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        fires = run(load)
        times.append(time.process_time() - began)
    return min(times), fires


def fixed_cost(nodes: int) -> float:
    """Return the CPU seconds of a simulation in which one job fires once on each node."""
    load = LOADS[0]  # and not all of them, which would be searched for what nodes share
    times = []
    for _ in range(CALLS):
        began = time.process_time()
        simulate(
            lambda scheduler: add_jobs(scheduler, load),
            START,
            START + timedelta(minutes=1),
            nodes,
        )
        times.append(time.process_time() - began)
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    logging.disable(logging.CRITICAL)
    print(f"{'load':34} {'fires':>8} {'floor':>10} {'simulate':>18} {'looptime':>18}")
    for load in LOADS:
        floor, expected = best(run_floor, load)
        simulated, fires = best(run_simulation, load)
        peer, peer_fires = best(run_looptime, load)
        if not fires == peer_fires == expected:
            raise SystemExit(f"{load.name}: {expected} fires, {fires} simulated, {peer_fires} peer")
        row = f"{load.name:34} {fires:8} {floor / fires * 1e6:7.1f} us"
        for seconds in (simulated, peer):
            row += f" {seconds / fires * 1e6:7.1f} us {seconds / floor:4.2f}x"
        print(row, "" if simulated <= floor * TARGET else f"  MISSED: over {TARGET}x")
    for nodes in (1, 2):
        print(f"one minute of {nodes} node(s): {fixed_cost(nodes) * 1000:.1f} ms")


if __name__ == "__main__":
    main()
