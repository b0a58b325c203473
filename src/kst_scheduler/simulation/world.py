"""Virtual time: strands of real code, one heap of wake-ups, and no real wait.

A strand is a greenlet: the event loop of one node, or one of its threads. All strands share one
operating-system thread. One strand runs at a time, until it waits in virtual time; then the world
moves its clock to the next wake-up. So a strand that waits does not block the others, nodes see
each other's effects in the order of time, and the same code gives the same order every time.

Times are integers: microseconds since 1970 in UTC.
"""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import itertools
import sys
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from kst_scheduler.errors import SimulationStuckError
from kst_scheduler.fire_times.instants import SECOND
from kst_scheduler.simulation.seed import Seed

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

Instant = TypeVar("Instant", int, "NDArray[np.int64]")
"""One instant, or a column of them."""

TICK: Final = 1_000
"""Microseconds from one tick of a simulated host's timer to the next."""
LATE: Final = 100
"""Microseconds from the whole millisecond to the tick."""

STEPS_AT_ONE_INSTANT: Final = 100_000
"""How often strands may run without time going on before the simulation calls itself stuck."""

MAX_READS: Final = 3_000_000
"""How often the clock may be read between two steps of a strand."""

STEPS_BETWEEN_LOOKS: Final = 1_000
"""How often strands run between two looks at whether all is well."""


MAX_EXITS: Final = 1_000
"""How often code that swallows its end is told to end."""

NO_HOOKS: Final[tuple[Any, Any]] = (None, None)
"""Hooks for asynchronous generators, as a new thread has them.

What sys.get_asyncgen_hooks() returns is unseen by the garbage collector (CPython 3.11), and
a loop's hooks hold the loop: so no strand keeps it when it has ended.
"""


class Host(Protocol):
    """What the world asks of the node that a strand belongs to."""

    name: str
    skew: int
    frozen_until: int

    def next_jump(self, since: int) -> int | None:
        """Return when its clock is set the next time, from a moment on; None: never."""


class Strand:
    """One line of execution: a node's event loop, or one of its threads."""

    __slots__ = (
        *("blocked", "killed", "greenlet", "hooks", "host", "ident", "loop", "running"),
        *("number", "selecting", "set_loop", "task", "token"),
    )

    def __init__(
        self,
        host: Host,
        run: greenlet,
        loop: asyncio.AbstractEventLoop | None,
        ident: int,
        number: int,
    ) -> None:
        self.host = host
        self.greenlet = run
        self.loop = loop
        self.ident = ident
        """What ``threading.get_ident`` returns in it; a node's own loop has its real thread's."""
        self.number = number
        """How many were spawned before it."""
        self.hooks = NO_HOOKS
        self.running: asyncio.AbstractEventLoop | None = None
        """The event loop that runs in it, and the task that runs in that, while it waits."""
        self.task: asyncio.Task[Any] | None = None
        self.set_loop: asyncio.AbstractEventLoop | None = None
        """What ``asyncio.set_event_loop`` was given in it."""
        self.token = 0
        """Grows at each resumption, so that an older wake-up in the heap counts for nothing."""
        self.selecting = False
        """True while an event loop waits for its next timer, and may be woken before."""
        self.blocked = False
        """True while it waits for another strand, and may be woken before."""
        self.killed = False
        """True when its node has crashed, and it never runs again."""


class World:
    """The clock that all simulated nodes share, and the order in which they run."""

    def __init__(self, start: int, end: int, seed: int | None = None) -> None:
        self.seed = Seed(seed)
        self.start = start
        self.first_tick = start + LATE
        self.end = end
        self.now = start
        self.current: Strand | None = None
        self.thread_id = _thread.get_ident()
        self.running = False
        self.failure: BaseException | None = None
        self.numbers = itertools.count()
        """Numbers for what has an order of its own."""
        self.on_look: Callable[[], object] = _nothing
        self.on_host: Callable[[Host], object] = _nothing
        """Called when another node is the one that runs."""
        self._host: Host | None = None
        self._heap: list[tuple[int, float, int, Strand | Callable[[], object], int]] = []
        self._pushed = 0
        self._spawned = 0
        self.steps = 0
        """How often strands have waited, or could have."""
        self._reads = 0
        self._look_at = STEPS_BETWEEN_LOOKS
        self._instant = start
        self._instant_began = 0
        self._strands: dict[Strand, None] = {}  # in the order in which they were spawned
        self._main = getcurrent()
        self._hooks = sys.get_asyncgen_hooks()

    @property
    def shown(self) -> int:
        """The time as the tables have it: the whole millisecond where a tick is just past it."""
        return shown(self.now)

    @property
    def elapsed(self) -> int:
        """Microseconds on every monotonic clock: nothing at first, whole ones where it ticks."""
        return max(0, self.now - self.first_tick)

    def call_at(self, when: int, function: Callable[[], object]) -> None:
        """Run ``function`` at ``when``, outside any node."""
        self._push(when, function, 0)

    def spawn(
        self,
        host: Host,
        function: Callable[[], Any],
        loop: asyncio.AbstractEventLoop | None = None,
        context: contextvars.Context | None = None,
        ident: int | None = None,
    ) -> Strand:
        """Start a strand of ``host`` now; ``loop`` is the event loop that it will run, if any.

        It runs in ``context``, by default a copy of the caller's.
        """
        run = greenlet(self._guarded(function), self._main)
        ident = self.thread_id if ident is None else ident
        strand = Strand(host, run, loop, ident, self._spawned)
        self._spawned += 1
        run.gr_context = contextvars.copy_context() if context is None else context
        self._strands[strand] = None
        self._push(self.now, strand, 0)
        return strand

    def park(self, until: int | None) -> None:
        """Let the running strand wait until ``until``, or until it is woken when that is None."""
        strand = self.current
        if strand is None:
            raise RuntimeError("only a simulated node can wait in virtual time")
        self.step()
        if until is not None:
            until = self.now if until <= self.now else self._wake_up(strand, until)
            if until < self.end and (not self._heap or until < self._heap[0][0]):
                self.now = until  # nobody else is due before: go on without a switch
                return
            self._push(until, strand, strand.token)
        self._main.switch()

    def sleep(self, seconds: float) -> None:
        """Block the running strand, as ``time.sleep`` blocks a thread, and so an event loop."""
        self.park(self.now + round(seconds * SECOND))

    def block(self, until: int | None) -> None:
        """Let the running strand wait until it is woken, but not beyond ``until``."""
        strand = self.current
        if strand is not None:
            strand.blocked = True
        try:
            self.park(until)
        finally:
            if strand is not None:
                strand.blocked = False

    def step(self) -> None:
        """Count a step of the running strand, and leave it for good when the world has failed."""
        self.steps += 1
        self._reads = 0
        if self.steps >= self._look_at:
            self._look()

    def count_read(self) -> None:
        """Count that the running strand reads the clock; without a step it would do so for ever."""
        self._reads += 1
        if self._reads > MAX_READS and self.current is not None:
            self.fail(
                SimulationStuckError(
                    self.current.host.name, self.now, f"read the clock {MAX_READS:,} times"
                )
            )
            self._main.switch()

    def wall_clock(self) -> int:
        """Return what the clock of the running strand's host shows, which counts as a reading."""
        self.count_read()
        return self.now + self.current.host.skew if self.current is not None else self.now

    def wake(self, strand: Strand) -> None:
        """Let a strand look again now that waits for its next timer, or for another strand."""
        if (strand.selecting or strand.blocked) and strand is not self.current:
            self._push(self.now, strand, strand.token)

    def fail(self, error: BaseException) -> None:
        """End the simulation with ``error`` as soon as the running strand waits."""
        self.failure = self.failure or error
        self._look_at = 0

    def run(self) -> None:
        """Run every strand until the end, which itself is not reached."""
        self.running = True
        try:
            self._run()
        finally:
            self.running = False
        if self.failure:
            raise self.failure
        self.now = self.end

    def kill_strands(self, host: Host) -> None:
        """Never run a strand of ``host`` again, as after kill -9: no ``finally`` runs either."""
        for strand in self._strands:
            if strand.host is host:
                strand.token += 1
                strand.selecting = strand.blocked = False
                strand.killed = True

    def close(self) -> None:
        """Unwind every strand, so that nothing of it outlives the simulation."""
        self.fail(GreenletExit())
        for strand in self._strands:
            self.current = strand
            self.on_host(strand.host)
            if strand.loop is not None:
                strand.loop.stop()
            for _ in range(MAX_EXITS):  # jobs and callbacks swallow the exit: throw again
                if strand.greenlet.dead:
                    break
                strand.greenlet.throw(GreenletExit)
            strand.hooks = NO_HOOKS
        self.current = None
        self._strands.clear()
        self._heap.clear()
        sys.set_asyncgen_hooks(*self._hooks)

    def _run(self) -> None:
        """Take what is due from the heap, one after the other.

        A strand that waits for a time and for another strand has an entry that may be stale. Each
        time it goes on its token changes, and by that the old entry is known::

            strand   parks until 03:00 (token 4) | woken at 02:10, parks until 06:00 (token 5)
            heap     03:00, token 4: passed over                     06:00, token 5: goes on

        One that is frozen then is pushed again, for when it thaws: nothing of its host runs before.
        """
        while self._heap and not self.failure:
            when, _, _, target, token = self._heap[0]
            if when >= self.end:
                break
            heappop(self._heap)
            if not isinstance(target, Strand):
                self.now = max(self.now, when)
                target()
            elif token != target.token or target.greenlet.dead:
                continue
            elif target.host.frozen_until > when:
                self._push(self._wake_up(target, target.host.frozen_until), target, token)
            else:
                self.now = max(self.now, when)
                self._resume(target)

    def _look(self) -> None:
        if self.failure:
            self._main.switch()
        self._look_at = self.steps + STEPS_BETWEEN_LOOKS
        if self.now != self._instant:
            self._instant, self._instant_began = self.now, self.steps
        elif self.steps - self._instant_began > STEPS_AT_ONE_INSTANT:
            name = self.current.host.name if self.current else "?"
            self.fail(SimulationStuckError(name, self._instant))
            self._main.switch()
        self.on_look()

    def _resume(self, strand: Strand) -> None:
        self.current = strand
        if strand.host is not self._host:
            self._host = strand.host
            self.on_host(strand.host)
        strand.token += 1
        # What the interpreter keeps once a thread is exchanged, for the strands are one thread.
        asyncio._set_running_loop(strand.running)
        if strand.task is not None and strand.running is not None:
            asyncio._enter_task(strand.running, strand.task)
        sys.set_asyncgen_hooks(*strand.hooks)  # a loop's own
        strand.greenlet.switch()
        strand.hooks = sys.get_asyncgen_hooks()
        strand.running, strand.task = asyncio._get_running_loop(), None
        if strand.running is not None and not strand.selecting:
            strand.task = asyncio.current_task(strand.running)
            if strand.task is not None:
                asyncio._leave_task(strand.running, strand.task)
        asyncio._set_running_loop(None)
        self.current = None
        if strand.greenlet.dead:
            strand.hooks = NO_HOOKS
            del self._strands[strand]

    def _push(self, when: int, target: Strand | Callable[[], object], token: int) -> None:
        self._pushed += 1
        # What is planned before the start comes first, in its order: nodes boot, then incidents.
        rank = 0.0
        if self.running and isinstance(target, Strand):
            rank = self.seed.rank(target.number, when)
        heappush(self._heap, (when, rank, self._pushed, target, token))

    def _wake_up(self, strand: Strand, due: int) -> int:
        return wake_up(due) + self.seed.lateness(strand.number, due) * TICK

    def _guarded(self, function: Callable[[], Any]) -> Callable[[], None]:
        def body() -> None:
            try:
                function()
            except GreenletExit:
                raise
            except BaseException as error:  # noqa: BLE001 - raised again by run()
                self.fail(error)

        return body


def wake_up(due: int) -> int:
    """Return when the system wakes a thread that waits until ``due``.

    Its timer ticks once a millisecond, as Linux's epoll counts, 0.1 ms after the whole millisecond.
    So a job that wakes up for its due time sees a clock that is past it, as in life, and many waits
    in a row do not add up their delays.
    """
    return due + (LATE - due) % TICK


def shown(instant: Instant) -> Instant:
    """Return an instant as the tables have it: without what a tick is late.

    Manual runs of one tick have a microsecond each, and keep it.
    """
    whole: Instant = instant - LATE * (instant % TICK // LATE == 1)
    return whole


def shown_after(cause: Instant, instant: Instant) -> Instant:
    """Return a shown instant, but not before the shown cause of what happens in it.

    A job that is due between the whole millisecond and the tick, as jitter may be, starts when due.
    """
    early = cause - instant
    return instant + early * ((early > 0) & (early <= LATE))


def _nothing(*_: object) -> None:
    """Do nothing."""
