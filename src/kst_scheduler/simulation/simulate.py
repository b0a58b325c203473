"""Run a real AsyncIOScheduler for hours, days or a year of virtual time."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from kst_scheduler.errors import InvalidArgumentError, SimulationError
from kst_scheduler.fire_times.instants import SECOND, microseconds, moment_at
from kst_scheduler.runs.table import NODE_DOWN
from kst_scheduler.scheduler.kst_scheduler import KSTScheduler
from kst_scheduler.simulation.clock import current_world, virtual_time
from kst_scheduler.simulation.fast_triggers import fast_triggers
from kst_scheduler.simulation.fresh_modules import Program
from kst_scheduler.simulation.host import set_host_timezone
from kst_scheduler.simulation.incidents import (
    ClockJump,
    Crash,
    Freeze,
    Incident,
    Node,
    check_incidents,
    check_nodes,
    incidents_table,
)
from kst_scheduler.simulation.log import LogCapture, ShownRunLog
from kst_scheduler.simulation.older_primitives import virtual_primitives
from kst_scheduler.simulation.process import SimulatedNode
from kst_scheduler.simulation.progress import progress
from kst_scheduler.simulation.result import SimulationInterrupted, SimulationResult
from kst_scheduler.simulation.surroundings import (
    cancelled_in_order,
    interruptible,
    seeded,
    silenced,
)
from kst_scheduler.simulation.tracebacks import remembered_tracebacks
from kst_scheduler.simulation.watchdog import watched
from kst_scheduler.simulation.world import World, wake_up
from kst_scheduler.timezone import KST, require_aware

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    import pandas as pd
    from apscheduler.schedulers.asyncio import AsyncIOScheduler


MIN_YEAR: Final = 1970
"""The first that a CronTrigger knows (apscheduler.triggers.cron.fields.MIN_VALUES, 3.11.3)."""


def simulate(
    register: Callable[[AsyncIOScheduler], object],
    start: datetime,
    end: datetime,
    nodes: int | Sequence[Node] = 1,
    incidents: Sequence[Incident] = (),
    scheduler: Callable[[], AsyncIOScheduler] = KSTScheduler,
    host_timezone: str = "UTC",
    seed: int | None = None,
) -> SimulationResult:
    """Run ``register``'s jobs from ``start`` to ``end`` on every node, in virtual time.

    A fire time at ``start`` is included, one at ``end`` is not. APScheduler and the job code are
    real. Only time is virtual, in the calling thread: clocks, ``sleep``, asyncio, and the threads,
    locks, queues and pools of jobs. SIMULATION.md lists what is virtual and what is not.
    Two calls with the same arguments give equal tables, unless a job depends on something that is
    not virtual. What APScheduler and this package log goes to the result's ``log`` and nowhere
    else. A job that still runs at ``end`` is closed then; its status is running.

    Each process of a node executes its own copy of the module of ``register``, and of the modules
    beside it that it imports. So their globals belong to one process, and are lost in a crash.
    There is no copy for a closure, a lambda, an interactive session, or a function that a test has
    replaced: there all nodes share the caller's memory. Then a WARNING in ``log`` names shared
    values that jobs have both read and changed, and shared locks, which real replicas would not
    share. To share an object on purpose, such as a ledger or a list of results, pass it as an
    argument: ``simulate(functools.partial(register, ledger=ledger), ...)``.

    Args:
        register: adds jobs to the given scheduler. It is called once for each process, in its event
            loop. Afterwards the scheduler is started, unless register has started it, or has
            created a task that starts it before its first await, such as a lifespan.
        start: aware. At this moment all clocks agree, except for ``clock_offset``.
        end: aware, not before ``start``.
        nodes: a number of nodes, named A, B, C and so on; or a list of ``Node(name, offset)``.
        incidents: ``Freeze``, ``Crash`` and ``ClockJump``, from ``start`` to ``end``.
        scheduler: returns an AsyncIOScheduler that has not started; KSTScheduler by default.
        host_timezone: the zone that every simulated host reports, UTC as in most containers.
        seed: an integer varies what code must not rely on: which of several threads that are due at
            the same moment runs first, how late each wakes up (0, 1 or 2 ms more), how long a node
            takes to start (0 to 499 ms), and ``random``. The same seed gives the same table. Try
            twenty seeds to find a fault that shows in one order only. None: threads wake up 0.1 ms
            late, in the order in which they began to wait.

    Raises:
        NaiveDatetimeError: a time has no zone.
        InvalidArgumentError: the span, the nodes, the incidents or the seed are not valid.
        SimulationStuckError: a job loops and lets no time pass.
        SimulationBlockedError: a job waits 7 real seconds for something that is not virtual, or
            uses 9 seconds of CPU time without waiting.
        SimulationError: it is called from a simulated job; the scheduler is not an
            AsyncIOScheduler; or a module that each process executes creates a server, and all nodes
            should share one.
        SimulationInterrupted: a KeyboardInterrupt that holds what was simulated until then.

    """
    _check_span(start, end)
    named = check_nodes(nodes)
    ordered = check_incidents(incidents, named, start, end)
    program = Program(scheduler, register, processes_differ=_processes(named, ordered) > 1)
    return run_program(program, start, end, named, ordered, host_timezone, seed)


def run_program(
    program: Program,
    start: datetime,
    end: datetime,
    nodes: Sequence[Node],
    incidents: Sequence[Incident] = (),
    host_timezone: str = "UTC",
    seed: int | None = None,
    plan: Callable[[World, dict[str, SimulatedNode]], object] = lambda _world, _nodes: None,
) -> SimulationResult:
    """Run a program on every node: what ``simulate`` does once it has checked its arguments.

    ``plan`` is called when the nodes have booted, and before the first of them runs.
    """
    world = World(microseconds(start), microseconds(end), seed)
    log, capture = ShownRunLog(), LogCapture(world)
    if program.is_fresh:
        world.on_host = program.enter
    simulated = {
        node.name: SimulatedNode(
            node.name, round(node.clock_offset * SECOND), world, program, log, host_timezone
        )
        for node in nodes
    }
    is_cut = False
    try:
        with (
            interruptible(world),
            watched(world),
            virtual_time(world),
            virtual_primitives(program.register),
            set_host_timezone(host_timezone),
            seeded(seed),
            cancelled_in_order(),
            capture.installed(),
            progress(world),
            fast_triggers(end - start),
            remembered_tracebacks(),
            program.installed(),
        ):
            _run(world, simulated, incidents, plan)
            program.ended()
    except KeyboardInterrupt:
        is_cut = True
    grace: dict[str, timedelta | None] = {}
    for each in simulated.values():
        grace.update(each.grace)
    runs = _without_recovered(log.table())
    result = SimulationResult(
        runs=_still_running(runs) if is_cut else runs,
        incidents=incidents_table(incidents),
        log=capture.table(),
        start=start.astimezone(KST),
        end=end.astimezone(KST),
        grace=dict(sorted(grace.items())),
        nodes=tuple(simulated),
        jobs=tuple(dict.fromkeys(job for each in simulated.values() for job in each.jobs)),
        cut_at=moment_at(world.now).astimezone(KST) if is_cut else None,
    )
    if is_cut:
        raise SimulationInterrupted(result)
    return result


def current_node() -> str:
    """Return the name of the node on which the calling job runs.

    Raises:
        SimulationError: no simulation runs in this thread.

    """
    world = current_world()
    if world is None or world.current is None:
        raise SimulationError("current_node() has an answer only inside a simulated job")
    return world.current.host.name


def _run(
    world: World,
    nodes: dict[str, SimulatedNode],
    incidents: Sequence[Incident],
    plan: Callable[[World, dict[str, SimulatedNode]], object],
) -> None:
    try:
        for node in nodes.values():
            node.boot()
        for incident in incidents:
            _plan(world, nodes[incident.node], incident, incidents)
        plan(world, nodes)
        world.run()
        for node in nodes.values():
            node.finish()
    except KeyboardInterrupt:
        world.end = world.now
        for node in nodes.values():
            node.finish(is_cut=True)
        raise
    finally:
        with silenced():
            unwound = [task for node in nodes.values() for task in node.tasks()]
            world.close()
            for node in nodes.values():
                node.close()
            for task in unwound:
                if task.done() and not task.cancelled():
                    task.exception()  # retrieved here, so that asyncio does not report it later


def _plan(
    world: World, node: SimulatedNode, incident: Incident, incidents: Sequence[Incident]
) -> None:
    at = microseconds(incident.at)
    if at == world.start and not isinstance(incident, ClockJump):
        node.fault_at_start = True
    if isinstance(incident, Freeze):
        world.call_at(at, functools.partial(node.freeze, microseconds(incident.end)))
    elif isinstance(incident, ClockJump):
        node.jumps.append(at)
        world.call_at(at, functools.partial(node.jump, round(incident.seconds * SECOND)))
    elif isinstance(incident, Crash):
        end = _end_of_crashes(incident, incidents)
        restart_at = None if end is None else wake_up(microseconds(end))
        world.call_at(at, functools.partial(node.crash, restart_at))
        if restart_at is not None:
            world.call_at(restart_at, node.restart)


def _end_of_crashes(crash: Crash, incidents: Sequence[Incident]) -> datetime | None:
    """Return when a node is up again: a crash at the very moment of the restart comes before it."""
    end = crash.end
    for each in incidents:  # in the order of time
        if isinstance(each, Crash) and each.node == crash.node and each.at == end:
            end = each.end
    return end


def _processes(nodes: Sequence[Node], incidents: Sequence[Incident]) -> int:
    """Return how many processes there are, those included that start after a crash."""
    return len(nodes) + sum(
        isinstance(each, Crash) and each.restart_after is not None for each in incidents
    )


def _check_span(start: datetime, end: datetime) -> None:
    require_aware(start, "start")
    require_aware(end, "end")
    if start.year < MIN_YEAR:
        raise InvalidArgumentError(
            f"start={start.isoformat()} is before {MIN_YEAR}, and no CronTrigger fires there: "
            "APScheduler's years begin with it"
        )
    if end < start:
        raise InvalidArgumentError(
            f"end={end.isoformat()} lies before start={start.isoformat()}; swap them"
        )


def _still_running(runs: pd.DataFrame) -> pd.DataFrame:
    """Show the run in which the interrupt struck as what it was: in progress."""
    struck = (runs["status"] == "error") & (runs["detail"] == repr(KeyboardInterrupt()))
    return runs.assign(
        status=runs["status"].mask(struck, "running"),
        finished_at=runs["finished_at"].mask(struck),
        detail=runs["detail"].mask(struck, ""),
    )


def _without_recovered(runs: pd.DataFrame) -> pd.DataFrame:
    """Drop what was due while a node was down, where a persistent job store brought it back."""
    down = runs["detail"] == NODE_DOWN
    if not down.any():
        return runs
    again = runs.duplicated(["node", "job_id", "scheduled_at"], keep=False)
    return runs[~(down & again)].reset_index(drop=True)
