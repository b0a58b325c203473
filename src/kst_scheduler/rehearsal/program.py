"""The reader's service as the program of a simulation: each process imports it anew."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import signal
import sys
import time
import traceback
from bisect import bisect_right
from collections import Counter
from datetime import datetime
from importlib.machinery import SourceFileLoader
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import STATE_STOPPED, BaseScheduler
from apscheduler.triggers.combining import AndTrigger
from apscheduler.triggers.date import DateTrigger

from kst_scheduler.fire_times.instants import SECOND, microseconds
from kst_scheduler.once.reconcile.reconciler import Reconciler
from kst_scheduler.rehearsal.notes import Notes, note_of, scheduler_note, unpacked
from kst_scheduler.rehearsal.place import Place
from kst_scheduler.rehearsal.shutdowns import watched_shutdowns
from kst_scheduler.rehearsal.stand_ins import is_ours
from kst_scheduler.rehearsal.stretches import Stretched, unstretched
from kst_scheduler.rehearsal.target import PATIENCE, Process, Servers, Target
from kst_scheduler.simulation.fresh_modules import Program
from kst_scheduler.simulation.world import wake_up
from kst_scheduler.timezone import UTC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from apscheduler.job import Job

    from kst_scheduler.rehearsal.nights import Trouble
    from kst_scheduler.rehearsal.stand_ins import StandIns
    from kst_scheduler.rehearsal.stretches import Stretch
    from kst_scheduler.simulation.process import SimulatedNode
    from kst_scheduler.simulation.world import World

MINUTE: Final = 60 * SECOND
STOP_LIMIT: Final = 30 * SECOND
"""What a container gets to stop (Kubernetes, terminationGracePeriodSeconds)."""
LOOKS_AFTER: Final = ((1, 2, 5, 30), (1, 5, 30))
"""Minutes after what goes wrong at which a Reconciler looks, and after a clock was set. What it
finds later would have waited for a run to end, or for a clock to be trusted."""
MAX_WAIT: Final = 6 * 3600.0
"""Seconds between two of its looks at other times: they are most of the cost of a quiet day."""
ID_PLACE: Final = 4
"""The place of ``id`` among the arguments of ``add_job``."""
LOOK: Final = "_seconds_to_next_look"
"""The method of a Reconciler that says so."""
LONG_AGO: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Before any service with APScheduler."""
SEARCH_SECONDS: Final = 0.5
"""CPU time for a trigger's next fire time, before it counts as searching for ever."""


class RehearsedProgram(Program):
    """Runs a target on every node, with stand-ins for its jobs.

    Args:
        target: what to run.
        stand_ins: what runs in place of its jobs; None: its jobs.
        stubs: functions that return None, as "module:name".
        stretches: for each job that is rehearsed in some stretches of time only, by its name.

    """

    def __init__(
        self,
        target: Target,
        stand_ins: StandIns | None,
        stubs: Sequence[str] = (),
        stretches: Mapping[str, Sequence[Stretch]] = MappingProxyType({}),
    ) -> None:
        super().__init__(_nothing, _no_jobs, folder=f"{target.folder}/")
        self._stretches = stretches
        self._owners: dict[str, int] = {}
        """For each id of a job, the number of the scheduler that had one of it first."""
        self.notes = Notes()
        self.triggers: dict[str, Any] = {}
        """The trigger of each job, by its name."""
        self.files: list[str] = []
        """Those of the reader's modules that were imported, once it has ended."""
        self._target = target
        self._stand_ins = stand_ins
        self._stubs = stubs
        self._servers = Servers()
        self._processes: dict[SimulatedNode, Process] = {}
        self._tasks: list[asyncio.Task[None]] = []
        """What each process is at: asyncio.run holds it, and the event loop does not."""
        self._stopping: set[SimulatedNode] = set()
        self._node: SimulatedNode | None = None
        self._places: dict[tuple[int, str], Place] = {}
        self._adding = Place()
        self._made_at: dict[int, Place] = {}
        self._numbers: dict[int, int] = {}
        """Which of its process's schedulers each one is."""
        self._searching: set[str] = set()
        """The jobs whose trigger has not found a first fire in time."""
        self._named: Counter[tuple[int, str]] = Counter()
        """How many jobs without an id each scheduler has, by the name of their function."""
        self._world: World | None = None
        self._looks: list[int] = []
        """When a Reconciler looks, beside its look of each hour."""

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Hear of every scheduler that is made and of every job that is added."""
        with (
            super().installed(),
            _compiled_once(f"{self._target.folder}/"),
            _patched(self),
            watched_shutdowns(self.shuts_down, self.ends),
        ):
            yield
            self.enter(None)
            self.files = sorted(
                {
                    file
                    for modules in self._of.values()
                    for each in modules.values()
                    if (file := getattr(each, "__file__", None))
                }
            )

    def enter(self, node: Any) -> None:
        """Let the modules of a node be those that are imported from here on."""
        super().enter(node)
        self._node = node

    def boot(self, node: SimulatedNode) -> None:
        """Begin a new process of ``node``, inside its event loop."""
        self.enter(None)
        self._of[node] = {}
        self.enter(node)
        process = self._processes[node] = Process(self._target, self._servers, self._stubs)
        task = asyncio.get_running_loop().create_task(process.start())
        self._tasks.append(task)
        self._stopping.discard(node)
        task.add_done_callback(functools.partial(self._began, node, process))

    @property
    def is_still_starting(self) -> bool:
        """Whether an application has not come to the end of its start."""
        return any(process.is_still_starting for process in self._processes.values())

    def plan(
        self, troubles: Sequence[Trouble], world: World, nodes: dict[str, SimulatedNode]
    ) -> None:
        """Let deployments and blocked loops happen; ``simulate`` knows the other incidents."""
        self._world = world
        self._looks = sorted({look for each in troubles for look in _looks_around(each)})
        for trouble in troubles:
            at, node = microseconds(trouble.at), nodes[trouble.node]
            if trouble.kind == "deploy":
                end = wake_up(at + round(trouble.seconds * SECOND))
                world.call_at(at, functools.partial(self._deploy, world, node, end))
            elif trouble.kind == "block":
                block = functools.partial(time.sleep, trouble.seconds)
                world.call_at(at, functools.partial(node.call_soon, block))

    def seconds_to_next_look(self) -> float:
        """Return how long a Reconciler waits: a minute where something goes wrong, else longer."""
        if self._world is None:
            return MAX_WAIT
        now = self._world.now  # the clock of the node may be wrong
        place = bisect_right(self._looks, now)
        following = self._looks[place] if place < len(self._looks) else self._world.end
        return min(MAX_WAIT, (following - now) / SECOND)

    def _deploy(self, world: World, node: SimulatedNode, restart_at: int) -> None:
        """Stop the process of a node as SIGTERM does, and start it again."""
        limit, over = min(world.now + STOP_LIMIT, restart_at), [False]

        def end(*_: object) -> None:
            if not over[0]:
                over[0] = True
                node.crash(restart_at, "the process was stopped for a deployment")

        process = self._processes.get(node)
        if process is None:
            return
        self._stopping.add(node)
        node.call_soon(
            functools.partial(self._stop, process, lambda: world.call_at(world.now, end))
        )
        world.call_at(limit, end)
        world.call_at(restart_at, node.restart)

    def made(self, scheduler: BaseScheduler, options: dict[str, Any]) -> None:
        """Note a scheduler, and watch it."""
        if self._node is None:
            return
        process = self._processes[self._node]
        process.schedulers.append(scheduler)
        self._numbers[id(scheduler)] = len(process.schedulers)
        name_of = functools.partial(self._name_of, scheduler)
        self._node.watch(scheduler, name_of, **_function_of(self._stand_ins, name_of))
        place = self._made_at[id(scheduler)] = self._place()
        self.notes.schedulers.append(scheduler_note(scheduler, options, place))

    def adds(self) -> Place:
        """Note from which line a job is being added, and return it."""
        self._adding = self._place()
        return self._adding

    def id_for(self, scheduler: BaseScheduler, function: Any) -> str:
        """Return an id for a job that has none: else each process would have another."""
        function = unpacked(function)
        kind = str(function) if isinstance(function, str) else type(function).__name__
        name = getattr(inspect.unwrap(function), "__name__", kind).rpartition(":")[2].strip("<>")
        self._named[id(scheduler), name] += 1
        number = self._named[id(scheduler), name]
        return name if number == 1 else f"{name}-{number}"

    def has_added(self, scheduler: BaseScheduler, job: Job, place: Place) -> None:
        """Remember where a job was added: the scheduler may take it later."""
        self._places[id(scheduler), job.id] = place

    def took(self, scheduler: BaseScheduler, job: Job, alias: str) -> None:
        """Note a job that a scheduler has taken."""
        name = self._name_of(scheduler, job.id)
        if is_ours(job.func):
            self.notes.ours.append(name)
            return
        hangs = name in self._searching
        first = getattr(job, "next_run_time", None)
        if first is not None and isinstance(job.trigger, AndTrigger):
            hangs = not _has_next(job.trigger, first, first)
            if hangs:  # it keeps its first fire alone
                job.modify(trigger=DateTrigger(first, first.tzinfo))
        if name in self.notes.jobs:
            return
        place = self._places.get((id(scheduler), job.id), self._adding)
        self.notes.jobs[name] = note_of(
            job,
            name,
            place,
            hangs=hangs,
            never="" if hangs or first is not None else _never(job.trigger, scheduler),
            is_on_loop=isinstance(scheduler, AsyncIOScheduler),
            store=_store_of(scheduler, alias),
        )
        self.triggers[name] = job.trigger

    def takes(self, scheduler: BaseScheduler, job: Job) -> None:
        """Look, before a scheduler takes a job, whether its trigger finds its first fire."""
        now, name = datetime.now(scheduler.timezone), self._name_of(scheduler, job.id)
        if name in self._stretches:
            job.trigger = Stretched(unstretched(job.trigger), self._stretches[name])
        if isinstance(job.trigger, AndTrigger) and not _has_next(job.trigger, None, now):
            self._searching.add(name)
            job.trigger = DateTrigger(now, now.tzinfo)
            job.next_run_time = None  # paused: a rehearsal goes on without it

    def shuts_down(self) -> None:
        """Note from which line an AsyncIOScheduler is shut down, as if that waited for its runs."""
        place = self._place()
        if place.file and place not in self.notes.shutdowns:
            self.notes.shutdowns.append(place)

    def ends(self, scheduler: BaseScheduler) -> None:
        """Remember the jobs of a scheduler that is shut down for a deployment, and forgets them."""
        if self._node is not None and self._node in self._stopping:
            self._node.remember(scheduler)

    def refused(self, scheduler: BaseScheduler, job: Job, error: BaseException) -> None:
        """Note that a scheduler did not take a job."""
        place = self._places.get((id(scheduler), job.id), self._adding)
        name = self._name_of(scheduler, job.id)
        self.notes.errors.append((name, f"{type(error).__name__}: {error}", place))

    def _began(self, node: SimulatedNode, process: Process, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            node.fail(error)
            return
        if process.fault_of_start is not None and not self.notes.no_loop:
            self.notes.no_loop = str(process.fault_of_start)
            frames = traceback.extract_tb(process.fault_of_start.__traceback__)
            own = [each for each in frames if each.filename.startswith(self._target.folder)]
            if own:
                self.notes.no_loop_place = Place(own[-1].filename, own[-1].lineno or 0)
        # Not now: a task, or a timer, may start it.
        asyncio.get_running_loop().call_later(PATIENCE, self._look_for_not_started, process)
        for scheduler in process.schedulers:
            if scheduler.state != STATE_STOPPED:
                node.take_time_to_start()

    def _look_for_not_started(self, process: Process) -> None:
        if not self.notes.not_started:
            self.notes.not_started = [
                (len(each.get_jobs()), self._made_at[id(each)]) for each in process.not_started
            ]

    def _stop(self, process: Process, then: Callable[[], object]) -> None:
        task = asyncio.get_running_loop().create_task(process.stop())
        self._tasks.append(task)
        task.add_done_callback(lambda _task: then())

    def _name_of(self, scheduler: BaseScheduler, job_id: str) -> str:
        """Return the name of a job: its id, unless another scheduler of its process has the same.

        The schedulers of a process are counted in the order in which it makes them.
        """
        number = self._numbers.get(id(scheduler), 1)
        is_first = self._owners.setdefault(job_id, number) == number
        return job_id if is_first else f"{job_id} (scheduler {number})"

    def _place(self) -> Place:
        """Return the line of the reader's code that is at work."""
        frame = sys._getframe(1)  # noqa: SLF001 - as logging finds its caller
        while frame is not None:
            if frame.f_code.co_filename.startswith(self._target.folder):
                return Place(frame.f_code.co_filename, frame.f_lineno)
            frame = frame.f_back  # type: ignore[assignment]
        return Place()


def _looks_around(trouble: Trouble) -> Iterator[int]:
    """Yield the moments at which a Reconciler looks, each minute of what goes wrong and after it.

    It looks a minute before a clock is set, as a ledger's clock is compared with what it was.
    """
    begin, end = microseconds(trouble.at), microseconds(trouble.end)
    is_clock = trouble.kind == "clock"
    if is_clock:
        yield begin - MINUTE
    yield from range(begin + MINUTE, end, MINUTE)
    yield from (end + minutes * MINUTE for minutes in LOOKS_AFTER[is_clock])


def _function_of(
    stand_ins: StandIns | None, name_of: Callable[[str], str]
) -> dict[str, Callable[[Job], Callable[..., Any]]]:
    if stand_ins is None:
        return {}
    return {"function_of": lambda job: stand_ins.of(job, name_of(job.id))}


def _nothing() -> Any:
    """Stand for what makes a scheduler: the target does."""


def _no_jobs(_scheduler: object) -> None:
    """Stand for what adds jobs: the target does."""


@contextlib.contextmanager
def _compiled_once(folder: str) -> Iterator[None]:
    """Keep the compiled code of the modules in a folder, which each process executes anew."""
    read: Callable[[SourceFileLoader, str], Any] = SourceFileLoader.get_code
    codes: dict[str, Any] = {}

    def get_code(loader: SourceFileLoader, name: str) -> Any:
        if not loader.path.startswith(folder):
            return read(loader, name)
        if loader.path not in codes:
            codes[loader.path] = read(loader, name)
        return codes[loader.path]

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del SourceFileLoader.get_code  # it is inherited


@contextlib.contextmanager
def _patched(program: RehearsedProgram) -> Iterator[None]:
    """Tell the program of schedulers and jobs; private names of APScheduler 3.11.3."""
    init, add_job, look, take = (
        BaseScheduler.__init__,
        BaseScheduler.add_job,
        getattr(Reconciler, LOOK),
        BaseScheduler._real_add_job,  # noqa: SLF001
    )

    def noted_init(self: BaseScheduler, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        program.made(self, options)

    def noted_add_job(self: BaseScheduler, *args: Any, **options: Any) -> Any:
        place = program.adds()
        if len(args) > ID_PLACE and args[ID_PLACE] is None:
            args = (*args[:ID_PLACE], program.id_for(self, args[0]), *args[ID_PLACE + 1 :])
        elif 0 < len(args) <= ID_PLACE and options.get("id") is None:
            options["id"] = program.id_for(self, args[0])
        job = add_job(self, *args, **options)
        program.has_added(self, job, place)
        return job

    def noted_take(self: BaseScheduler, job: Job, alias: str, *args: Any) -> None:
        program.takes(self, job)
        try:
            take(self, job, alias, *args)
        except Exception as error:
            program.refused(self, job, error)
            raise
        program.took(self, job, alias)

    BaseScheduler.__init__ = noted_init
    BaseScheduler.add_job = noted_add_job
    BaseScheduler._real_add_job = noted_take  # noqa: SLF001

    def seconds_to_next_look(_self: Reconciler) -> float:
        return program.seconds_to_next_look()

    setattr(Reconciler, LOOK, seconds_to_next_look)
    try:
        yield
    finally:
        setattr(Reconciler, LOOK, look)
        BaseScheduler.__init__ = init
        BaseScheduler.add_job = add_job
        BaseScheduler._real_add_job = take  # noqa: SLF001


def _store_of(scheduler: BaseScheduler, alias: str) -> str:
    """Return the kind of a job store; empty: it is in memory."""
    store = scheduler._jobstores[alias]  # noqa: SLF001 - APScheduler 3.11.3
    return "" if isinstance(store, MemoryJobStore) else type(store).__name__


def _never(trigger: Any, scheduler: BaseScheduler) -> str:
    """Return "never" or "no more" for a trigger without a next fire time; empty: it has one."""
    if trigger.get_next_fire_time(None, datetime.now(scheduler.timezone)) is not None:
        return ""  # the job is paused
    past = trigger.get_next_fire_time(None, LONG_AGO)
    return "never" if past is None else "no more"


class _TooLongError(Exception):
    """Raised where a trigger searches for too long."""


def _has_next(trigger: Any, previous: datetime | None, now: datetime) -> bool:
    """Tell whether a trigger has answered, in time, which fire comes next."""
    if not hasattr(signal, "setitimer"):
        return True

    def stop(_number: int, _frame: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGPROF, stop)
    # Not ITIMER_VIRTUAL, which is the watchdog's.
    signal.setitimer(signal.ITIMER_PROF, SEARCH_SECONDS)
    try:
        trigger.get_next_fire_time(previous, now)
    except _TooLongError:
        return False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return True
