"""One node: the host with its clock, and the process that runs the scheduler on it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from apscheduler.events import EVENT_JOB_ADDED
from apscheduler.schedulers.base import STATE_PAUSED

from kst_scheduler.fire_times.instants import microseconds
from kst_scheduler.runs.recorder import RunRecorder
from kst_scheduler.runs.table import NAT, NODE_DOWN
from kst_scheduler.simulation.host import begin_in_zone
from kst_scheduler.simulation.log import RenamedRunLog
from kst_scheduler.simulation.loop import VirtualLoop
from kst_scheduler.simulation.primitives import real_lock
from kst_scheduler.simulation.world import MAX_EXITS, TICK, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from apscheduler.events import JobEvent
    from apscheduler.schedulers.base import BaseScheduler

    from kst_scheduler.runs.table import RunLog
    from kst_scheduler.simulation.fresh_modules import Program
    from kst_scheduler.simulation.world import Strand, World


class SimulatedNode:
    """A host, whose clock may be wrong, and its process, which may freeze, die and restart."""

    def __init__(
        self, name: str, skew: int, world: World, program: Program, log: RunLog, zone: str
    ) -> None:
        self.name = name
        self.skew = skew
        self.frozen_until = 0
        self.jumps: list[int] = []
        """When its clock is set."""
        self.grace: dict[str, timedelta | None] = {}
        self.jobs: dict[str, None] = {}
        """The ids of its jobs, in the order in which they were added."""
        self._world = world
        self._program = program
        self._log = log
        self._zone = zone
        self._loops: list[VirtualLoop] = []
        self._recorders: list[RunRecorder] = []
        """Those of the living process, one a scheduler; empty while the node is down."""
        self._remembered: dict[BaseScheduler, list[tuple[str, Any, Any]]] = {}
        """The next fire times of a scheduler, with their triggers."""
        self._strand: Strand | None = None
        """The event loop of the latest process."""

        self._restarts_at: int | None = None
        """When its next process starts, after a crash."""

        self.fault_at_start = False
        """Whether it freezes or crashes at the very start of the simulation."""

    def boot(self) -> None:
        """Start a new process."""
        loop = VirtualLoop(self._world)
        loop.call_soon(self._start)
        self._loops.append(loop)
        self._strand = self._world.spawn(self, loop.run_forever, loop)

    def restart(self) -> None:
        """Start a new process, unless another crash has come before."""
        if self._restarts_at == self._world.now:
            self._restarts_at = None
            self.boot()

    def freeze(self, until: int) -> None:
        """Let the process stand still until then."""
        self.frozen_until = until

    def crash(self, restart_at: int | None, why: str = "the node crashed") -> None:
        """End the process at once, and note what falls due until the next one starts."""
        self._world.kill_strands(self)
        self._restarts_at = restart_at
        end = self._world.end if restart_at is None else min(restart_at, self._world.end)
        for recorder in self._taken():
            self._note_due(recorder, end, NODE_DOWN)
            recorder.end(
                "cancelled", self._world.shown, why, not_started=f"{why} before it started"
            )
            recorder.close()

    def jump(self, microseconds: int) -> None:
        """Set the host's wall clock forward, or back."""
        self.skew += microseconds

    def next_jump(self, since: int) -> int | None:
        """Return when its clock is set the next time, from a moment on; None: never."""
        return min((jump for jump in self.jumps if jump >= since), default=None)

    def finish(self, *, is_cut: bool = False) -> None:
        """Note what was due or still ran when the simulation ended.

        Where it is cut, what is due at that moment is what would have come next.
        """
        is_known = not is_cut or self.frozen_until > self._world.end
        why = (self._why_nothing_starts() or "not started by the end") if is_known else None
        for recorder in self._taken():
            if is_known:
                self._note_due(recorder, self._world.end, self._why_not_due(recorder))
            recorder.end("running", NAT, "", not_started=why)
            recorder.close()

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks of all its processes that have not ended."""
        return [task for loop in self._loops for task in asyncio.all_tasks(loop)]

    def close(self) -> None:
        """Close the coroutines and the loops that are left; their ``finally`` blocks run now."""
        self._program.enter(self)
        for task in self.tasks():
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            _close(task.get_coro())
        for loop in self._loops:
            loop.close()
        for recorder in self._taken():
            recorder.close()

    def watch(
        self,
        scheduler: BaseScheduler,
        name_of: Callable[[str], str] | None = None,
        **options: Any,
    ) -> None:
        """Record the outcomes of the jobs of a scheduler.

        Args:
            scheduler: whose jobs they are.
            name_of: returns what a job is called in the table, by its id; None: so.
            options: go to its RunRecorder.

        """
        log = self._log if name_of is None else RenamedRunLog(self._log, name_of)
        world = self._world
        recorder = RunRecorder(
            scheduler, self.name, log=log, clock=lambda: shown(world.now), **options
        )
        recorder.grace = self.grace
        recorder.lock = real_lock()  # as it waits for nothing, no other strand finds it taken
        self._recorders.append(recorder)
        scheduler.add_listener(self._note_added, EVENT_JOB_ADDED)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function in the event loop of the living process."""
        if self._recorders:
            self._loops[-1].call_soon_threadsafe(function)

    def fail(self, error: BaseException) -> None:
        """End the simulation with an error of the process, which ``simulate`` raises."""
        self._world.fail(error)

    def take_time_to_start(self) -> None:
        """Take as long as the seed says, so that a fault at the very start comes before a run.

        The scheduler has started, so what is due at the very start is not lost to it.
        """
        start_up = self._world.seed.start_up(self.name, self._world.now) * TICK
        if start_up or (self.fault_at_start and self._world.now == self._world.start):
            self._world.park(self._world.now + start_up)

    def _start(self) -> None:
        try:
            begin_in_zone(self._zone)
            self._program.boot(self)
        except BaseException as error:  # noqa: BLE001 - raised again by World.run
            self.fail(error)

    def _taken(self) -> list[RunRecorder]:
        """Return the recorders of the process, which ends."""
        recorders, self._recorders = self._recorders, []
        return recorders

    def _note_added(self, event: JobEvent) -> None:
        self.jobs.setdefault(event.job_id)

    def _note_due(self, recorder: RunRecorder, until: int, detail: str) -> None:
        for job_id, moment in self._due(recorder.scheduler, until):
            recorder.add(job_id, moment, "missed", detail=detail)

    def remember(self, scheduler: BaseScheduler) -> None:
        """Remember what is due next: a scheduler that is shut down forgets the jobs in memory."""
        self._remembered[scheduler] = [
            (job.id, getattr(job, "next_run_time", None), job.trigger)  # a pending job has none
            for job in scheduler.get_jobs()
        ]

    def _due(self, scheduler: BaseScheduler, until: int) -> Iterator[tuple[str, int]]:
        """Yield the fire times of each job from its next one until ``until``, exclusive."""
        if scheduler not in self._remembered:
            self.remember(scheduler)
        for job_id, first, trigger in self._remembered.pop(scheduler):
            moment = first
            while moment is not None and microseconds(moment) - self.skew < until:
                yield job_id, microseconds(moment)
                moment = trigger.get_next_fire_time(moment, moment)

    def _why_nothing_starts(self) -> str:
        """Return what kept the process from starting anything to the end; empty: nothing did."""
        if self.frozen_until >= self._world.end:
            return "the node was frozen to the end"
        if self._strand is not None and not self._strand.selecting:
            return "the event loop was blocked to the end"
        return ""

    def _why_not_due(self, recorder: RunRecorder) -> str:
        frozen = self.frozen_until >= self._world.end
        if recorder.scheduler.state == STATE_PAUSED and not frozen:
            return "the scheduler was paused to the end"
        return self._why_nothing_starts() or "the scheduler had stopped looking for due jobs"


def _close(coroutine: Any) -> None:
    """Unwind a coroutine; one that swallows the exit is thrown it again, as a thread is."""
    for _ in range(MAX_EXITS):
        with contextlib.suppress(BaseException):  # nobody is left to hear of it
            coroutine.close()
            return
